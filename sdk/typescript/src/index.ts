export * from "./events.gen.js";
export { EventClient, type ClientOptions, type Listener } from "./client.js";
export { Subscription, type Matching, type State, type Stats, type SubscribeOptions } from "./subscription.js";
export { EventError, LostError, ProblemError, ResetError } from "./errors.js";
export { parseEvent } from "./validate.js";
export { type BackoffOptions } from "./backoff.js";
export { type Live, type Message, type Request, type Token, type Transport } from "./transport.js";
export { SSETransport, type SSEOptions } from "./sse.js";
export { WebSocketTransport, type SocketOptions, type WebSocketConstructor, type WebSocketLike } from "./websocket.js";
