import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

export interface LogEvent {
  event_type: string;
  position: number;
  [field: string]: unknown;
}

/** What goes wrong on one connection. */
export interface Fault {
  /** Answer the request with this status instead; over a WebSocket, close with this code. */
  status?: number;
  headers?: Record<string, string>;
  /** Cut the connection after so many messages, in the middle of the next. */
  cutAfter?: number;
  /** Begin so many events before where the client asked to go on. */
  again?: number;
  /** Leave out so many events after where the client asked to go on. */
  skip?: number;
  /** Say that the position cannot be resumed from. */
  reset?: string;
  /** Write one byte at a time. */
  bytes?: boolean;
  /** Say nothing at all. */
  silent?: boolean;
}

type Frame = Record<string, unknown>;

interface Subscriber {
  readonly id: string;
  readonly types: string[];
  next: number; // position
  send(frame: Frame): void;
}

/** Speaks the frames of MGX's event stream, from memory, with faults. */
export class FakeServer {
  readonly frames: Frame[] = []; // what clients sent
  readonly requests: IncomingMessage[] = [];
  connections = 0;
  open = 0;
  /** Faults of the next connections, in order; none left: all goes well. */
  faults: Fault[] = [];
  token = "secret";
  readonly #log: LogEvent[] = [];
  readonly #server: Server;
  readonly #subscribers = new Set<Subscriber>();
  readonly #sockets = new Set<Duplex>();

  static async start(): Promise<FakeServer> {
    const server = new FakeServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  private constructor() {
    this.#server = createServer((request, response) => this.#stream(request, response));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("upgrade", (request, socket) => this.#socket(request, socket));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Cuts all connections. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Adds events to the log and delivers them. */
  append(...events: LogEvent[]): void {
    for (const event of events) this.#log.push({ ...event, position: this.#log.length + 1, sequence: this.#log.length + 1 });
    for (const subscriber of this.#subscribers) this.#deliver(subscriber);
  }

  /** Sends a frame of any sort to all subscribers. */
  say(frame: Frame): void {
    for (const subscriber of this.#subscribers) subscriber.send({ ...frame, id: subscriber.id });
  }

  get head(): number {
    return this.#log.length;
  }

  #deliver(subscriber: Subscriber): void {
    while (subscriber.next <= this.#log.length) {
      const event = this.#log[subscriber.next++ - 1]!;
      if (matches(subscriber.types, event.event_type)) subscriber.send({ type: "event", id: subscriber.id, resume: `token-${event.position}`, event });
    }
  }

  #begin(subscriber: Subscriber, fault: Fault, resume: string | undefined, after: number | undefined): void {
    const from = resume ? Number(resume.slice("token-".length)) : (after ?? this.head);
    if (fault.silent) return;
    if (fault.reset) {
      subscriber.send({ type: "reset", id: subscriber.id, reason: fault.reset, earliest: 1, head: this.head });
      return;
    }
    const position = from + (fault.skip ?? 0);
    subscriber.send({ type: "subscribed", id: subscriber.id, epoch: "e", position, resume: `token-${position}` });
    subscriber.next = Math.max(0, position - (fault.again ?? 0)) + 1;
    this.#subscribers.add(subscriber);
    this.#deliver(subscriber);
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    this.connections++;
    this.requests.push(request);
    const fault = this.faults.shift() ?? {};
    const status = fault.status ?? (request.headers.authorization === `Bearer ${this.token}` ? 200 : 401);
    if (status !== 200) {
      response.writeHead(status, { "Content-Type": "application/problem+json", ...fault.headers });
      response.end(status === 204 ? undefined : JSON.stringify({ status, code: "refused_here", detail: "no", title: "No" }));
      return;
    }
    const query = new URL(request.url ?? "", this.url).searchParams;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(":\n\nretry: 2000\n\n");
    this.open++;
    const write = faulty(fault, response.socket!, (text) => response.write(text));
    const subscriber: Subscriber = { id: "0", types: query.getAll("type"), next: 1, send: (frame) => write(serverSent(frame)) };
    response.on("close", () => {
      this.open--;
      this.#subscribers.delete(subscriber);
    });
    const resume = request.headers["last-event-id"] as string | undefined;
    this.#begin(subscriber, fault, resume, query.has("after") ? Number(query.get("after")) : undefined);
  }

  #socket(request: IncomingMessage, socket: Duplex): void {
    this.connections++;
    this.requests.push(request);
    const fault = this.faults.shift() ?? {};
    const protocols = (request.headers["sec-websocket-protocol"] ?? "").split(", ");
    const key = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\nSec-WebSocket-Protocol: events.v1+json\r\n\r\n`);
    this.open++;
    const code = fault.status ?? (protocols.includes(`bearer.${this.token}`) ? 0 : 4001);
    if (code) {
      socket.write(encode(0x8, Buffer.from([code >> 8, code & 0xff])));
    }
    const write = faulty(fault, socket, (text) => socket.write(encode(0x1, Buffer.from(text))));
    const mine = new Map<string, Subscriber>();
    socket.on("error", () => {}); // cut
    socket.on("close", () => {
      this.open--;
      for (const one of mine.values()) this.#subscribers.delete(one);
    });
    decode(socket, (opcode, payload) => {
      if (opcode === 0x8) socket.end(encode(0x8, payload));
      if (opcode !== 0x1 || code) return;
      const frame = JSON.parse(payload.toString()) as Frame;
      this.frames.push(frame);
      this.#answer(frame, fault, mine, (out) => write(JSON.stringify(out)));
    });
  }

  #answer(frame: Frame, fault: Fault, mine: Map<string, Subscriber>, send: (frame: Frame) => void): void {
    const id = frame.id as string;
    if (frame.type === "ping" && !fault.silent) send({ type: "pong" });
    if (frame.type === "unsubscribe") {
      this.#subscribers.delete(mine.get(id)!);
      mine.delete(id);
    }
    if (frame.type === "subscribe") {
      const types = (frame.filter as { types?: string[] } | undefined)?.types ?? [];
      const subscriber: Subscriber = { id, types, next: 1, send };
      mine.set(id, subscriber);
      this.#begin(subscriber, fault, frame.resume as string | undefined, frame.after as number | undefined);
    }
  }
}

function matches(globs: string[], type: string): boolean {
  return globs.length === 0 || globs.some((glob) => new RegExp(`^${glob.replaceAll(".", "\\.").replaceAll("*", ".*")}$`).test(type));
}

function serverSent({ type, resume, id: _, ...rest }: Frame): string {
  const id = resume ? `id: ${resume}\n` : type === "reset" ? "id\n" : "";
  return type === "event" ? `${id}data: ${JSON.stringify(rest.event)}\n\n` : `${id}event: ${type}\ndata: ${JSON.stringify(rest)}\n\n`;
}

/** A writer that does what the fault says. */
function faulty(fault: Fault, socket: Duplex, write: (text: string) => void): (text: string) => void {
  let left = fault.cutAfter ?? Infinity;
  return (text) => {
    if (socket.destroyed || left < 0) return;
    if (left-- === 0) {
      socket.write(text.slice(0, text.length / 2)); // half a message, or a broken frame
      socket.end();
      setImmediate(() => socket.destroy());
    } else if (fault.bytes && !text.startsWith("{")) {
      for (const char of text) write(char);
    } else {
      write(text);
    }
  };
}

function encode(opcode: number, payload: Buffer): Buffer {
  const head = payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length]) : Buffer.alloc(4);
  if (payload.length >= 126) {
    head[0] = 0x80 | opcode;
    head[1] = 126;
    head.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([head, payload]);
}

/** Reads the masked frames of a client. */
function decode(socket: Duplex, take: (opcode: number, payload: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      if (rest.length < 2) return;
      const short = rest[1]! & 0x7f;
      const start = short === 126 ? 4 : 2;
      if (rest.length < start) return;
      const length = short === 126 ? rest.readUInt16BE(2) : short;
      if (rest.length < start + 4 + length) return;
      const mask = rest.subarray(start, start + 4);
      const payload = Buffer.from(rest.subarray(start + 4, start + 4 + length).map((byte, i) => byte ^ mask[i % 4]!));
      take(rest[0]! & 0x0f, payload);
      rest = rest.subarray(start + 4 + length);
    }
  });
}
