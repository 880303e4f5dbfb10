import { EventError, ProblemError } from "./errors.js";
import { isObject } from "./validate.js";

/** What a subscription asks the server for. */
export interface Request {
  readonly channels: readonly string[];
  readonly types: readonly string[];
  readonly versions?: string;
  readonly live: boolean;
  /** Token of the last event that was received; before `after`. */
  readonly resume?: string;
  /** Position to begin after; neither: what is new from now on. */
  readonly after?: number;
}

/** A piece of what a model says or a program prints while it does; never stored, at most once. */
export interface Live {
  readonly workspace_id: string;
  readonly run_id: string;
  readonly task_id?: string;
  readonly agent?: string;
  readonly text?: string;
  readonly again?: boolean;
  readonly tool?: string;
  readonly missed?: number;
}

/** What the server says about one subscription, over whichever transport. */
export type Message =
  | { readonly type: "subscribed"; readonly position: number; readonly resume: string }
  | { readonly type: "event"; readonly event: unknown; readonly resume: string }
  | { readonly type: "checkpoint"; readonly position: number; readonly resume: string }
  | { readonly type: "lagging"; readonly position: number; readonly head: number }
  | { readonly type: "reset"; readonly reason: string; readonly earliest: number; readonly head: number }
  | ({ readonly type: "live" } & Live)
  | { readonly type: "error"; readonly problem: ProblemError };

/**
 * A way to the server. `open` makes one subscription and yields what the server
 * says about it, in order. It returns when the server says that nothing will
 * follow, and throws a LostError when the connection is lost, or any other error
 * when trying again does not help. Leaving the loop ends the subscription.
 */
export interface Transport {
  open(request: Request, signal: AbortSignal): AsyncIterable<Message>;
  /** Says up to which position everything was dealt with, where the transport can. */
  acknowledge?(request: Request, position: number): void;
  close(): void;
}

/** A bearer token, or where to get one each time a connection is made. */
export type Token = string | (() => string | Promise<string>);

export async function resolveToken(token: Token | undefined): Promise<string | undefined> {
  return typeof token === "function" ? token() : token;
}

/** Most characters of one message: an event of 1 MB with its frame fits. */
export const maxMessage = 2 << 20;

/** Reads a frame; undefined for types of frames that are not known here. */
export function parseMessage(type: unknown, frame: Record<string, unknown>, resume: unknown): Message | undefined {
  switch (type) {
    case "event":
      return { type, event: frame.event, resume: text(resume) };
    case "subscribed":
    case "checkpoint":
      return { type, position: whole(frame.position), resume: text(resume) };
    case "lagging":
      return { type, position: whole(frame.position), head: whole(frame.head) };
    case "reset":
      return { type, reason: text(frame.reason), earliest: whole(frame.earliest), head: whole(frame.head) };
    case "live":
      return { ...(frame as unknown as Live), type };
    case "error":
      return { type, problem: parseProblem(frame.problem, 500) };
  }
  return undefined;
}

export function parseProblem(value: unknown, status: number): ProblemError {
  const body = isObject(value) ? value : {};
  const code = typeof body.code === "string" ? body.code : "problem";
  const detail = typeof body.detail === "string" ? body.detail : `the server answered ${status}`;
  return new ProblemError(typeof body.status === "number" ? body.status : status, code, detail);
}

/** Parses JSON that must be an object. */
export function parseObject(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new EventError("bad_frame", "the server sent something that is not JSON", { cause });
  }
  if (!isObject(value)) throw new EventError("bad_frame", "the server sent something that is not an object");
  return value;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new EventError("bad_frame", "the server sent a frame without its text");
  return value;
}

function whole(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new EventError("bad_frame", "the server sent a frame without its position");
  return value as number;
}
