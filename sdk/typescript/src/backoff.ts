/** How long to wait before connecting again, in milliseconds. */
export interface BackoffOptions {
  /** Upper bound of the first wait; 250. */
  readonly first?: number;
  /** Upper bound of all waits; 30,000. */
  readonly last?: number;
  /** From 0 up to but not including 1; Math.random. */
  readonly random?: () => number;
}

/**
 * Full jitter: each wait is anything between zero and a bound that doubles, so
 * that a thousand clients that lost one server do not come back in step.
 */
export class Backoff {
  readonly #first: number;
  readonly #last: number;
  readonly #random: () => number;
  #tries = 0;

  constructor({ first = 250, last = 30_000, random = Math.random }: BackoffOptions = {}) {
    this.#first = first;
    this.#last = last;
    this.#random = random;
  }

  next(): number {
    const bound = Math.min(this.#last, this.#first * 2 ** Math.min(this.#tries++, 30));
    return Math.floor(this.#random() * bound);
  }

  /** Begins from the first bound again: something was received. */
  reset(): void {
    this.#tries = 0;
  }
}

/** Resolves after so many milliseconds, when the browser comes online, or when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      globalThis.removeEventListener?.("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    globalThis.addEventListener?.("online", done);
  });
}
