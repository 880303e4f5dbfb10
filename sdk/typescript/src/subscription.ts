import { Backoff, pause, type BackoffOptions } from "./backoff.js";
import { EventError, isPassing, LostError, ResetError } from "./errors.js";
import { isErased, type Envelope, type EventOf, type EventType } from "./events.gen.js";
import type { Live, Message, Request, Transport } from "./transport.js";
import { parseEvent } from "./validate.js";

/** What a subscription to these types yields: their own types where all of them are named in full. */
export type Matching<T extends string> = [T] extends [EventType] ? { [K in T & EventType]: EventOf<K> }[T & EventType] : Envelope;

export interface SubscribeOptions<T extends string = string> {
  /** Types, or globs such as task.*; none: every type. */
  readonly types?: readonly T[];
  /** all, run:ID, task:*, …; several widen; ["all"]. */
  readonly channels?: readonly string[];
  /** Major versions to read, such as tool.result@1; other types come in their latest. */
  readonly versions?: readonly string[];
  /** Token of the last event that was dealt with, from `subscription.resume`. */
  readonly resume?: string;
  /** Instead: position of the last event that was dealt with; 0 for all there is. Neither: what is new. */
  readonly after?: number;
  /** Most events that wait to be taken, also while there is no connection; 1000. Then no more are read until there is room. */
  readonly buffer?: number;
  /** Called with pieces of what models say and programs print; best effort. */
  readonly live?: (piece: Live) => void;
  /** Decides where to begin anew when the position cannot be resumed from. Without it, the loop throws the ResetError. */
  readonly onReset?: (reset: ResetError) => "earliest" | "head" | "stop";
  /** Called for an event that is not valid, which is then left out. Without it, the loop throws the error. */
  readonly onInvalid?: (error: EventError, event: unknown) => void;
  /** Called for an event whose data was erased. Such events are left out of the loop, since they say nothing. */
  readonly onErased?: (event: Envelope) => void;
  /** Called when the state changes; with the reason when a connection was lost. */
  readonly onState?: (state: State, reason?: unknown) => void;
}

export type State = "connecting" | "live" | "waiting" | "closed";

/** What has happened in a subscription. */
export interface Stats {
  readonly received: number;
  readonly duplicates: number;
  readonly invalid: number;
  readonly erased: number;
  /** Connections made or tried. */
  readonly connections: number;
}

/** Milliseconds between telling the server how far the loop is. */
const ackEvery = 1000;

interface Entry {
  readonly event: Envelope;
  resume: string;
}

/**
 * Events of one subscription, in the order of their positions, each once, over
 * as many connections as it takes: `for await (const event of subscription)`.
 * It ends when it is closed or the server says that nothing will follow, and
 * throws what trying again does not help against.
 */
export class Subscription<T extends string = string> implements AsyncIterable<Matching<T>> {
  readonly #transport: Transport;
  readonly #options: SubscribeOptions<T>;
  readonly #backoff: Backoff;
  readonly #pinned: ReadonlySet<string>;
  readonly #stop = new AbortController();
  readonly #buffer: number;
  readonly #done: () => void;

  #queue: Entry[] = [];
  #current: Entry | undefined; // in the hands of the loop
  #place: { resume?: string; after?: number }; // after what was received
  #last: number | undefined; // position received last
  #passed: string | undefined; // token after what the loop is through with
  #request: Request | undefined;
  #failure: unknown;
  #ended = false;
  #taken = false;
  #state: State = "connecting";
  #wakeLoop: (() => void) | undefined;
  #wakePump: (() => void) | undefined;
  #acknowledged = 0; // position of what the loop is through with
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  #counts = { received: 0, duplicates: 0, invalid: 0, erased: 0, connections: 0 };

  /** Use EventClient.subscribe. */
  constructor(transport: Transport, options: SubscribeOptions<T>, backoff: BackoffOptions | undefined, done: () => void) {
    this.#transport = transport;
    this.#options = options;
    this.#backoff = new Backoff(backoff);
    this.#buffer = Math.max(1, options.buffer ?? 1000);
    this.#pinned = new Set((options.versions ?? []).map((pin) => pin.slice(0, pin.indexOf("@"))));
    this.#place = { ...(options.resume !== undefined && { resume: options.resume }), ...(options.after !== undefined && { after: options.after }) };
    this.#last = options.resume === undefined ? options.after : undefined;
    this.#passed = options.resume;
    this.#done = done;
    void this.#pump();
  }

  /** Token to resume after the last event that the loop is through with. Keep it with what you did. */
  get resume(): string | undefined {
    return this.#passed;
  }

  get state(): State {
    return this.#state;
  }

  get stats(): Stats {
    return { ...this.#counts };
  }

  /** Ends the subscription and the loop; what waits to be taken is dropped. */
  close(): void {
    this.#queue = [];
    this.#end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Matching<T>> {
    if (this.#taken) throw new EventError("taken", "a subscription has one loop: make another subscription");
    this.#taken = true;
    try {
      for (;;) {
        const entry = this.#queue.shift();
        if (entry) {
          this.#current = entry;
          this.#wakePump?.();
          yield entry.event as Matching<T>;
          this.#pass(entry);
        } else if (this.#ended) {
          if (this.#failure !== undefined) throw this.#failure;
          return;
        } else {
          await new Promise<void>((resolve) => (this.#wakeLoop = resolve));
        }
      }
    } finally {
      this.close();
    }
  }

  #pass(entry: Entry): void {
    this.#current = undefined;
    this.#passed = entry.resume;
    this.#acknowledged = entry.event.position;
    if (this.#transport.acknowledge) this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ackEvery);
  }

  #acknowledge(): void {
    this.#ackTimer = undefined;
    if (this.#request && !this.#ended) this.#transport.acknowledge?.(this.#request, this.#acknowledged);
  }

  /** Keeps a connection and fills the queue. */
  async #pump(): Promise<void> {
    try {
      while (!this.#ended) {
        const wait = await this.#connect();
        if (wait < 0) break;
        await pause(wait, this.#stop.signal);
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#end();
  }

  /** Makes one connection and takes what it brings. Returns how long to wait for the next, or less than 0: no more. */
  async #connect(): Promise<number> {
    this.#counts.connections++;
    this.#become("connecting");
    try {
      this.#request = this.#ask();
      for await (const message of this.#transport.open(this.#request, this.#stop.signal)) {
        if (this.#take(message)) return 0; // begins anew at once
        await this.#room();
        if (this.#ended) return -1;
      }
      return -1;
    } catch (error) {
      if (this.#ended) return -1;
      if (!isPassing(error)) throw error;
      this.#become("waiting", error);
      return Math.max(this.#backoff.next(), error instanceof LostError ? error.retryAfter : 0);
    }
  }

  #ask(): Request {
    const { channels = ["all"], types = [], versions = [], live } = this.#options;
    return { channels: channels.length > 0 ? channels : ["all"], types, live: live !== undefined, ...(versions.length > 0 && { versions: versions.join(",") }), ...this.#place };
  }

  /** Takes one message; true when the subscription must begin anew. */
  #take(message: Message): boolean {
    switch (message.type) {
      case "subscribed":
        this.#begin(message.position, message.resume);
        break;
      case "event":
        this.#receive(message.event, message.resume);
        break;
      case "checkpoint":
        this.#backoff.reset();
        this.#reach(message.position, message.resume);
        break;
      case "live":
        this.#options.live?.(message);
        break;
      case "reset":
        return this.#reset(new ResetError(message.reason, message.earliest, message.head));
      case "error":
        throw message.problem;
    }
    return false;
  }

  #begin(position: number, resume: string): void {
    if (this.#last !== undefined && position > this.#last) {
      throw new LostError(`the server goes on after position ${position} although ${this.#last} was received last`);
    }
    this.#last ??= position;
    this.#place = { resume };
    if (this.#queue.length === 0 && !this.#current) this.#passed = resume;
    this.#become("live");
  }

  #receive(value: unknown, resume: string): void {
    this.#backoff.reset();
    let event: Envelope;
    try {
      event = parseEvent(value, this.#pinned);
    } catch (error) {
      this.#counts.invalid++;
      if (!this.#options.onInvalid || !(error instanceof EventError)) throw error;
      this.#options.onInvalid(error, value);
      this.#place = { resume };
      return;
    }
    this.#place = { resume };
    if (this.#last !== undefined && event.position <= this.#last) {
      this.#counts.duplicates++;
      return;
    }
    this.#last = event.position;
    if (isErased(event)) {
      this.#counts.erased++;
      this.#options.onErased?.(event);
      this.#reach(event.position, resume);
      return;
    }
    this.#counts.received++;
    this.#queue.push({ event, resume });
    this.#wakeLoop?.();
  }

  /** Nothing that matches is left up to a position. */
  #reach(position: number, resume: string): void {
    this.#last = Math.max(this.#last ?? 0, position);
    this.#place = { resume };
    const behind = this.#queue.at(-1) ?? this.#current;
    if (behind) behind.resume = resume;
    else this.#passed = resume;
  }

  #reset(reset: ResetError): boolean {
    const choice = this.#options.onReset?.(reset) ?? "stop";
    if (choice === "stop") throw reset;
    this.#last = choice === "earliest" ? Math.max(0, reset.earliest - 1) : reset.head;
    this.#place = { after: this.#last };
    return true;
  }

  /** Waits while the queue is full. */
  async #room(): Promise<void> {
    while (this.#queue.length >= this.#buffer && !this.#ended) {
      await new Promise<void>((resolve) => (this.#wakePump = resolve));
    }
  }

  #become(state: State, reason?: unknown): void {
    if (this.#state === state && reason === undefined) return;
    this.#state = state;
    this.#options.onState?.(state, reason);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#ackTimer);
    this.#stop.abort();
    this.#wakeLoop?.();
    this.#wakePump?.();
    this.#become("closed", this.#failure);
    this.#done();
  }
}
