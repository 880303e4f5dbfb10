import { EventError, LostError, ProblemError } from "./errors.js";
import { maxMessage, parseMessage, parseObject, resolveToken, type Message, type Request, type Token, type Transport } from "./transport.js";

/** What this needs of a WebSocket: the browser's, that of Node 22 or later, or one of a package. */
export interface WebSocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

const subprotocol = "events.v1+json";
const isOpen = 1;

/** Close codes after which connecting again does not help. */
const finalCodes: Readonly<Record<number, readonly [code: string, message: string]>> = {
  4001: ["unauthenticated", "the server does not accept the token"],
  4003: ["channel_refused", "the server does not let you read this channel"],
  4009: ["superseded", "another connection has taken over"],
};

export interface SocketOptions {
  /** Address of the server, such as https://mgx.example. */
  readonly url: string;
  readonly token?: Token;
  /** The global one if it is not given. */
  readonly WebSocket?: WebSocketConstructor;
  /** Name of this client: a later connection of that name takes over. */
  readonly client?: string;
  /** Workspace whose events they are, for who is a member of several. */
  readonly workspace?: string;
  /** Most messages that wait for one subscription; 1000. A WebSocket cannot be held back: more, and the subscription resumes when there is room. */
  readonly inbox?: number;
  /** Milliseconds to be connected; 15,000. */
  readonly connect?: number;
  /** Milliseconds between pings; 20,000. Twice as many without an answer, and the connection counts as lost. */
  readonly ping?: number;
}

/** One WebSocket for all subscriptions. */
export class WebSocketTransport implements Transport {
  readonly #options: SocketOptions;
  readonly #ids = new WeakMap<Request, string>();
  #current: Promise<Connection> | undefined;
  #count = 0;

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  close(): void {
    const current = this.#current;
    this.#current = undefined;
    current?.then((connection) => connection.close()).catch(() => {}); // it was never there
  }

  async *open(request: Request, signal: AbortSignal): AsyncGenerator<Message> {
    const connection = await this.#connection();
    const id = `s${++this.#count}`;
    const inbox = connection.subscribe(id, request, signal);
    this.#ids.set(request, id);
    try {
      for (;;) yield await inbox.take();
    } finally {
      inbox.leave();
      connection.unsubscribe(id);
      if (connection.idle) this.close();
    }
  }

  acknowledge(request: Request, position: number): void {
    const id = this.#ids.get(request);
    if (id !== undefined) this.#current?.then((connection) => connection.acknowledge(id, position)).catch(() => {}); // lost: nothing to tell
  }

  #connection(): Promise<Connection> {
    if (!this.#current) {
      const fresh = Connection.open(this.#options);
      const forget = () => {
        if (this.#current === fresh) this.#current = undefined;
      };
      this.#current = fresh;
      fresh.then((connection) => connection.closed.then(forget), forget);
    }
    return this.#current;
  }
}

class Connection {
  readonly closed: Promise<void>;
  readonly #socket: WebSocketLike;
  readonly #inboxes = new Map<string, Inbox>();
  readonly #size: number;
  #failure: EventError | undefined;
  #pinger: ReturnType<typeof setInterval> | undefined;
  #heard = true;

  static async open(options: SocketOptions): Promise<Connection> {
    const constructor = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
    if (!constructor) throw new EventError("no_websocket", "there is no WebSocket here: pass one as the option WebSocket, or use the transport sse");
    const url = new URL("/api/v1/events/ws", options.url);
    url.protocol = url.protocol === "http:" || url.protocol === "ws:" ? "ws:" : "wss:";
    if (options.client) url.searchParams.set("client", options.client);
    if (options.workspace) url.searchParams.set("workspace", options.workspace);
    const token = await resolveToken(options.token);
    const socket = new constructor(url.href, token ? [subprotocol, `bearer.${token}`] : [subprotocol]);
    const connection = new Connection(socket, options);
    await connection.#opened(options.connect ?? 15_000);
    return connection;
  }

  private constructor(socket: WebSocketLike, { inbox = 1000, ping = 20_000 }: SocketOptions) {
    this.#socket = socket;
    this.#size = inbox;
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => {
        this.#fail(closing(code, reason));
        resolve();
      });
    });
    this.#pinger = setInterval(() => this.#ping(), ping);
  }

  get idle(): boolean {
    return this.#inboxes.size === 0;
  }

  #opened(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(new LostError("the server has not answered in time")), ms);
      this.#socket.addEventListener("open", () => {
        clearTimeout(timer);
        resolve();
      });
      this.#socket.addEventListener("error", () => this.#fail(new LostError("the connection to the server failed")));
      this.#failed = (error) => {
        clearTimeout(timer);
        reject(error);
      };
    });
  }

  #failed: (error: EventError) => void = () => {};

  subscribe(id: string, request: Request, signal: AbortSignal): Inbox {
    const inbox = new Inbox(this.#size, signal);
    if (this.#failure) {
      inbox.fail(this.#failure);
      return inbox;
    }
    this.#inboxes.set(id, inbox);
    const { channels, types, versions, live, resume, after } = request;
    const start = resume !== undefined ? { resume } : after !== undefined ? { after } : {};
    this.#send({ type: "subscribe", id, channels, ...(types.length > 0 && { filter: { types } }), ...(versions && { versions }), ...(live && { live }), ...start });
    return inbox;
  }

  unsubscribe(id: string): void {
    const inbox = this.#inboxes.get(id);
    if (this.#inboxes.delete(id) && !inbox?.ended) this.#send({ type: "unsubscribe", id });
  }

  acknowledge(id: string, position: number): void {
    if (this.#inboxes.has(id)) this.#send({ type: "ack", id, position });
  }

  close(): void {
    this.#fail(new LostError("the connection was closed"));
  }

  #send(frame: object): void {
    if (this.#socket.readyState === isOpen) this.#socket.send(JSON.stringify(frame));
  }

  #receive(data: unknown): void {
    this.#heard = true;
    try {
      if (typeof data !== "string" || data.length > maxMessage) throw new EventError("bad_frame", "the server sent a frame that is not text, or too large");
      const frame = parseObject(data);
      const message = parseMessage(frame.type, frame, frame.resume);
      if (message) this.#deliver(frame.id, message);
    } catch (error) {
      this.#fail(error instanceof EventError ? error : new LostError("the server sent something unheard of", 0, { cause: error }));
    }
  }

  #deliver(id: unknown, message: Message): void {
    if (typeof id === "string" && id !== "") {
      this.#inboxes.get(id)?.put(message); // of one that was left there may still be some on the way
    } else if (message.type === "error") {
      for (const inbox of this.#inboxes.values()) inbox.put(message);
    }
  }

  #ping(): void {
    if (!this.#heard) {
      this.#fail(new LostError("the server has been silent for too long"));
      return;
    }
    this.#heard = false;
    this.#send({ type: "ping" });
  }

  #fail(error: EventError): void {
    if (this.#failure) return;
    this.#failure = error;
    clearInterval(this.#pinger);
    for (const inbox of this.#inboxes.values()) inbox.fail(error);
    this.#inboxes.clear();
    this.#failed(error);
    this.#socket.close(1000);
  }
}

function closing(code: number, reason: string): EventError {
  const final = finalCodes[code];
  if (final) return new EventError(final[0], final[1]);
  if (code === 4029) return new ProblemError(429, "too_many_streams", "too many streams are open at once; close some, then it goes on"); // what others get as a status
  return new LostError(`the server has closed the connection (${code}${reason && ` ${reason}`})`);
}

/** What waits for one subscription. */
class Inbox {
  readonly #size: number;
  readonly #signal: AbortSignal;
  readonly #abort = () => this.fail(new LostError("the subscription was closed"));
  #messages: Message[] = [];
  #failure: EventError | undefined;
  #wake: (() => void) | undefined;
  /** The server has ended the subscription. */
  ended = false;

  constructor(size: number, signal: AbortSignal) {
    this.#size = size;
    this.#signal = signal;
    if (signal.aborted) this.#abort();
    signal.addEventListener("abort", this.#abort);
  }

  leave(): void {
    this.#signal.removeEventListener("abort", this.#abort);
  }

  put(message: Message): void {
    if (this.#failure) return;
    if (message.type === "reset" || message.type === "error") this.ended = true;
    if (message.type === "live" && this.#messages.length >= this.#size) return; // at most once
    this.#messages.push(message);
    this.#wake?.();
    if (this.#messages.length > this.#size) this.fail(new LostError("more came than was taken; resuming"));
  }

  /** What was put before the failure can still be taken. */
  fail(error: EventError): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  async take(): Promise<Message> {
    for (;;) {
      const message = this.#messages.shift();
      if (message) return message;
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }
}
