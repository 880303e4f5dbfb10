import { EventClient } from "../../../sdk/typescript/src/client";
import type { Subscription } from "../../../sdk/typescript/src/subscription";
import type { Live } from "../../../sdk/typescript/src/transport";
import { all, AnswerError, getPage, one, replace } from "./dom";

/** Milliseconds between two updates of a page, and before its reader hears that the connection is lost. */
const every = 500;
const patience = 1500;

/**
 * <mgx-stream channel types part pieces> follows the event stream. What comes is
 * not drawn here: it says that the part of the page at that address is another
 * now, which is asked for again, at most twice a second. So what is seen live is
 * what a reload shows. It also asks after each connection, so nothing is missed
 * between a page and its stream.
 *
 * Of the part, each element with data-live takes the place of the one with its id,
 * and the document hears mgx:part. Each event is mgx:event to it, and pieces of what
 * models say are mgx:piece. With the attribute paused the page stays as it is.
 */
class Stream extends HTMLElement {
  static readonly observedAttributes = ["paused"];
  #client: EventClient | undefined;
  #subscription: Subscription | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lost: ReturnType<typeof setTimeout> | undefined;
  #busy = false;
  #again = false;
  #last = 0;

  connectedCallback(): void {
    void this.#follow();
    document.addEventListener("visibilitychange", this.#seen);
  }

  disconnectedCallback(): void {
    document.removeEventListener("visibilitychange", this.#seen);
    clearTimeout(this.#timer);
    this.#client?.close();
  }

  attributeChangedCallback(): void {
    if (!this.hasAttribute("paused") && this.#again) this.#due();
  }

  async #follow(): Promise<void> {
    const types = (this.getAttribute("types") ?? "").split(",").filter(Boolean);
    const workspace = this.getAttribute("workspace");
    this.#client = new EventClient({ url: location.origin, transport: "websocket", ...(workspace && { workspace }) });
    this.#subscription = this.#client.subscribe({
      channels: [this.getAttribute("channel") ?? "all"],
      types,
      buffer: 200,
      onState: (state, reason) => this.#state(state, reason),
      onReset: () => "head",
      onInvalid: () => this.#due(),
      onErased: () => this.#due(),
      ...(this.hasAttribute("pieces") && { live: (piece: Live) => document.dispatchEvent(new CustomEvent("mgx:piece", { detail: piece })) }),
    });
    try {
      for await (const event of this.#subscription) {
        document.dispatchEvent(new CustomEvent("mgx:event", { detail: event }));
        this.#due();
      }
    } catch (error) {
      this.#tell((error as { code?: string }).code === "unauthenticated" ? "out" : "stale");
    }
  }

  #state(state: string, reason?: unknown): void {
    this.dataset.state = state;
    clearTimeout(this.#lost);
    if (state === "live") {
      this.#tell(undefined);
      this.#due();
    } else if (state === "waiting") {
      const many = (reason as { code?: string } | undefined)?.code === "too_many_streams";
      this.#lost = setTimeout(() => this.#tell(many ? "many" : "lost"), patience);
    }
  }

  #tell(what: string | undefined): void {
    this.hidden = what === undefined;
    const text = one("span", this);
    if (text && what !== undefined) text.textContent = this.dataset[what] ?? what;
  }

  /** A page that nobody sees is brought up to date when somebody does. */
  readonly #seen = (): void => {
    if (!document.hidden && this.#again) this.#due();
  };

  #due(): void {
    if (this.#busy || document.hidden || this.hasAttribute("paused")) {
      this.#again = true;
      return;
    }
    this.#timer ??= setTimeout(() => void this.#update(), Math.max(0, this.#last + every - Date.now()));
  }

  async #update(): Promise<void> {
    this.#timer = undefined;
    if (this.hasAttribute("paused")) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#busy = true;
    try {
      const part = await getPage(this.#address());
      for (const fresh of all("[data-live][id]", part)) replace(fresh);
      document.dispatchEvent(new CustomEvent("mgx:part", { detail: part }));
      if (one("[data-more]", part)) this.#again = true;
    } catch (error) {
      if (error instanceof AnswerError && error.status !== 0) this.#tell(error.status === 401 ? "out" : "stale");
      else this.#again = true;
    }
    this.#busy = false;
    this.#last = Date.now();
    if (this.#again) this.#due();
  }

  /** The part, from after what the page has. */
  #address(): string {
    const address = new URL(this.getAttribute("part") ?? location.href, location.href);
    address.searchParams.set("part", "1");
    const last = one("[data-last]")?.dataset.last;
    if (last !== undefined) address.searchParams.set("after", last);
    return address.href;
  }
}

customElements.define("mgx-stream", Stream);
