import { EventError, LostError } from "./errors.js";
import { maxMessage, parseMessage, parseObject, parseProblem, resolveToken, type Message, type Request, type Token, type Transport } from "./transport.js";

/** One server-sent event. */
export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
  /** The last id, also of an event before; undefined: there was none or it was taken away. */
  readonly id: string | undefined;
}

/** Splits a stream of text into server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export class EventStreamParser {
  #rest = "";
  #first = true;
  #afterCR = false;
  #event = "";
  #data: string[] = [];
  #size = 0;
  #id: string | undefined;

  /** Takes the next piece of text and yields the events that it completes. */
  *push(text: string): Generator<ServerSentEvent> {
    if (this.#first && text !== "") {
      this.#first = false;
      if (text.startsWith("\uFEFF")) text = text.slice(1);
    }
    if (this.#afterCR && text !== "") {
      this.#afterCR = false;
      if (text.startsWith("\n")) text = text.slice(1);
    }
    this.#rest += text;
    const ends = /\r\n|\r|\n/g;
    let start = 0;
    for (let end = ends.exec(this.#rest); end; end = ends.exec(this.#rest)) {
      this.#afterCR = end[0] === "\r" && ends.lastIndex === this.#rest.length;
      const event = this.#line(this.#rest.slice(start, end.index));
      start = ends.lastIndex;
      if (event) yield event;
    }
    this.#rest = this.#rest.slice(start);
    if (this.#rest.length + this.#size > maxMessage) throw new EventError("bad_frame", "the server sent a message that is too large");
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    switch (name) {
      case "event":
        this.#event = value;
        break;
      case "data":
        this.#data.push(value);
        this.#size += value.length;
        break;
      case "id":
        if (!value.includes("\0")) this.#id = value === "" ? undefined : value;
    }
    return undefined;
  }

  #dispatch(): ServerSentEvent | undefined {
    const [event, data] = [this.#event || "message", this.#data];
    this.#event = "";
    this.#data = [];
    this.#size = 0;
    return data.length === 0 ? undefined : { event, data: data.join("\n"), id: this.#id };
  }
}

export interface SSEOptions {
  /** Address of the server, such as https://mgx.example. */
  readonly url: string;
  readonly token?: Token;
  readonly fetch?: typeof fetch;
  /** Workspace whose events they are, for who is a member of several. */
  readonly workspace?: string;
  /** Milliseconds without a byte after which the connection counts as lost; 45,000. The server says something every 15,000. */
  readonly silence?: number;
}

/** Server-sent events over fetch: one connection for each subscription. A reader that does not read holds the server back. */
export class SSETransport implements Transport {
  readonly #options: SSEOptions;
  readonly #closed = new AbortController();

  constructor(options: SSEOptions) {
    this.#options = options;
  }

  close(): void {
    this.#closed.abort();
  }

  async *open(request: Request, signal: AbortSignal): AsyncGenerator<Message> {
    const ended = new AbortController();
    const watchdog = new Watchdog(this.#options.silence ?? 45_000, () => ended.abort());
    try {
      const any = AbortSignal.any([signal, this.#closed.signal, ended.signal]);
      const body = await this.#connect(request, any);
      if (body) yield* this.#read(body, watchdog);
    } catch (error) {
      if (error instanceof EventError) throw error;
      throw new LostError(ended.signal.aborted ? "the server has been silent for too long" : "the connection to the server was lost", 0, { cause: error });
    } finally {
      watchdog.stop();
      ended.abort();
    }
  }

  async #connect(request: Request, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | undefined> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    const token = await resolveToken(this.#options.token);
    if (token) headers.Authorization = `Bearer ${token}`;
    if (request.resume) headers["Last-Event-ID"] = request.resume;
    const answer = await (this.#options.fetch ?? fetch)(this.#address(request), { headers, signal, cache: "no-store" });
    if (answer.status === 204) return undefined; // nothing will follow
    if (answer.ok && answer.body) return answer.body;
    throw await refusal(answer);
  }

  #address(request: Request): URL {
    const url = new URL("/api/v1/events/stream", this.#options.url);
    for (const channel of request.channels) url.searchParams.append("channel", channel);
    for (const type of request.types) url.searchParams.append("type", type);
    if (request.versions) url.searchParams.set("versions", request.versions);
    if (request.live) url.searchParams.set("live", "true");
    if (this.#options.workspace) url.searchParams.set("workspace", this.#options.workspace);
    if (request.resume === undefined && request.after !== undefined) url.searchParams.set("after", String(request.after));
    return url;
  }

  async *#read(body: ReadableStream<Uint8Array>, watchdog: Watchdog): AsyncGenerator<Message> {
    const reader = body.getReader();
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const parser = new EventStreamParser();
    try {
      for (;;) {
        watchdog.start();
        const { done, value } = await reader.read();
        watchdog.stop(); // whoever takes the messages may take their time
        if (done) throw new LostError("the server has ended the connection");
        for (const event of parser.push(decoder.decode(value, { stream: true }))) {
          const message = toMessage(event);
          if (message) yield message;
        }
      }
    } finally {
      reader.cancel().catch(() => {}); // it may be gone already
    }
  }
}

function toMessage({ event, data, id }: ServerSentEvent): Message | undefined {
  const frame = parseObject(data);
  return event === "message" ? parseMessage("event", { event: frame }, id) : parseMessage(event, frame, id);
}

/** What an answer that is no stream means. */
async function refusal(answer: Response): Promise<EventError> {
  let body: unknown;
  try {
    body = JSON.parse((await answer.text()).slice(0, 10_000));
  } catch {
    body = undefined; // not a problem document
  }
  const problem = parseProblem(body, answer.status);
  const wait = Number(answer.headers.get("Retry-After"));
  if (answer.status >= 500 || answer.status === 408 || answer.status === 429) {
    return new LostError(problem.message, Number.isFinite(wait) ? Math.min(wait, 3600) * 1000 : 0, { cause: problem });
  }
  return problem;
}

class Watchdog {
  #timer: ReturnType<typeof setTimeout> | undefined;
  constructor(
    readonly ms: number,
    readonly bark: () => void,
  ) {}
  start(): void {
    this.#timer = setTimeout(this.bark, this.ms);
  }
  stop(): void {
    clearTimeout(this.#timer);
  }
}
