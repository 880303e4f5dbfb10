/** A failure with a stable code. */
export class EventError extends Error {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The server refused something: a problem by RFC 9457. */
export class ProblemError extends EventError {
  constructor(
    readonly status: number,
    code: string,
    detail: string,
  ) {
    super(code, detail);
  }
}

/** The connection was lost, or could not be made; trying again helps. */
export class LostError extends EventError {
  constructor(
    message: string,
    /** Milliseconds that the server asks to wait at least. */
    readonly retryAfter = 0,
    options?: ErrorOptions,
  ) {
    super("connection_lost", message, options);
  }
}

/**
 * The position cannot be resumed from: the log is another one, or no longer goes
 * back so far. Begin anew after `earliest - 1` for all there is, or after `head`
 * for what is new.
 */
export class ResetError extends EventError {
  constructor(
    readonly reason: string,
    readonly earliest: number,
    readonly head: number,
  ) {
    super("reset", `the position cannot be resumed from (${reason}); events ${earliest} to ${head} can be read`);
  }
}

/** Whether trying again can help. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ProblemError) return error.status >= 500 || error.status === 408 || error.status === 429;
  return error instanceof LostError;
}
