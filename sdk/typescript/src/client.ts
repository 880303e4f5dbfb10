import type { BackoffOptions } from "./backoff.js";
import { SSETransport } from "./sse.js";
import { Subscription, type Matching, type SubscribeOptions } from "./subscription.js";
import type { Token, Transport } from "./transport.js";
import { WebSocketTransport, type WebSocketConstructor } from "./websocket.js";

export interface ClientOptions {
  /** Address of the server, such as https://mgx.example. */
  readonly url: string;
  readonly token?: Token;
  /** In browsers and where a WebSocket is given: "websocket"; else "sse". */
  readonly transport?: "websocket" | "sse" | Transport;
  readonly WebSocket?: WebSocketConstructor;
  readonly fetch?: typeof fetch;
  readonly backoff?: BackoffOptions;
  /** Name of this client: a later WebSocket of that name takes over. */
  readonly client?: string;
  /** Workspace whose events they are, for who is a member of several. */
  readonly workspace?: string;
}

/** A subscription that calls a function. */
export interface Listener {
  /** Ends the subscription. */
  stop(): void;
  /** Resolves when it has ended; rejects with what ended it, the function's errors among it. */
  readonly done: Promise<void>;
}

/** Follows the events of one server. */
export class EventClient {
  readonly #transport: Transport;
  readonly #backoff: BackoffOptions | undefined;
  readonly #open = new Set<{ close(): void }>();

  constructor(options: ClientOptions) {
    this.#transport = choose(options);
    this.#backoff = options.backoff;
  }

  /** Subscribes at once; take the events with for await. */
  subscribe<const T extends string = string>(options: SubscribeOptions<T> = {}): Subscription<T> {
    const subscription: Subscription<T> = new Subscription<T>(this.#transport, options, this.#backoff, () => this.#open.delete(subscription));
    this.#open.add(subscription);
    return subscription;
  }

  /** Calls a function with each event of a type or glob, one after the other: the next when its promise is settled. */
  on<const T extends string>(type: T, handle: (event: Matching<T>) => unknown, options: Omit<SubscribeOptions<T>, "types"> = {}): Listener {
    const subscription = this.subscribe<T>({ ...options, types: [type] });
    const run = async () => {
      for await (const event of subscription) await handle(event);
    };
    return { stop: () => subscription.close(), done: run() };
  }

  /** Ends all subscriptions and their connections. */
  close(): void {
    for (const one of [...this.#open]) one.close();
    this.#transport.close();
  }
}

function choose({ transport, url, token, WebSocket, fetch, client, workspace }: ClientOptions): Transport {
  if (typeof transport === "object") return transport;
  const common = { url, ...(token !== undefined && { token }), ...(workspace !== undefined && { workspace }) };
  const browser = typeof (globalThis as { document?: unknown }).document === "object";
  if (transport === "websocket" || (transport === undefined && (WebSocket !== undefined || browser))) {
    return new WebSocketTransport({ ...common, ...(WebSocket && { WebSocket }), ...(client !== undefined && { client }) });
  }
  return new SSETransport({ ...common, ...(fetch && { fetch }) });
}
