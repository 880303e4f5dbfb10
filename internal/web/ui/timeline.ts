import type { Live } from "../../../sdk/typescript/src/transport";
import { all, getPage, one } from "./dom";

/** Most items that a page holds at once, and how near to its end counts as there. */
const most = 600;
const near = 160;

/**
 * <mgx-timeline> takes in what a run did since, as it comes: new items behind the
 * others, changed ones in their places. It holds a bounded window of the run: it
 * gets what is older when the reader comes to its beginning, and lets go of what is
 * far away. What is being read is not moved; a pill says how much is new.
 */
class Timeline extends HTMLElement {
  #new = 0;
  #cut = false; // what is newest was let go of
  #loading = false;
  #pill = one<HTMLButtonElement>("[data-key=n]", this);
  #pieces = one("#pieces", this);
  #said = "";
  #frame = 0;

  connectedCallback(): void {
    document.addEventListener("mgx:part", this.#part);
    document.addEventListener("mgx:piece", this.#piece);
    addEventListener("scroll", this.#scrolled, { passive: true });
    if (this.#pill) this.#pill.onclick = () => this.#toEnd();
    const older = one<HTMLAnchorElement>(".older a", this);
    older?.addEventListener("click", (e) => {
      e.preventDefault();
      void this.#older();
    });
    if (this.dataset.follow !== undefined && location.hash === "") this.#scrollToEnd();
  }

  disconnectedCallback(): void {
    document.removeEventListener("mgx:part", this.#part);
    document.removeEventListener("mgx:piece", this.#piece);
    removeEventListener("scroll", this.#scrolled);
  }

  get #atEnd(): boolean {
    return innerHeight + scrollY >= document.documentElement.scrollHeight - near;
  }

  readonly #part = (e: Event): void => {
    const fresh = one("mgx-timeline", (e as CustomEvent<Document>).detail);
    if (!fresh) return;
    const follow = this.#atEnd;
    if (this.#pieces && all(".turn", fresh).length > 0) this.#say("");
    let added = 0;
    for (const phase of all(".phase", fresh)) added += this.#take(phase);
    if (fresh.dataset.last && !this.#cut) this.dataset.last = fresh.dataset.last;
    if (added === 0) return;
    if (follow && !this.#cut) {
      this.#trim("start");
      this.#scrollToEnd();
    } else {
      this.#new += added;
      this.#tell();
    }
  };

  /** Takes in the items of a phase, and returns how many are new. */
  #take(phase: HTMLElement): number {
    let added = 0;
    for (const item of all(".item", phase)) {
      const old = document.getElementById(item.id);
      const next = document.importNode(item, true);
      if (old) {
        const open = one<HTMLDetailsElement>("details", old)?.open;
        const details = one<HTMLDetailsElement>("details", next);
        if (details && open) details.open = true;
        const focused = old.contains(document.activeElement);
        old.replaceWith(next);
        if (focused) one<HTMLElement>("summary,a,button", next)?.focus({ preventScroll: true });
        continue;
      }
      added++;
      if (!this.#cut) this.#home(phase).append(next);
    }
    return added;
  }

  /** Where the items of a phase go: into the last phase when it is the same or goes on. */
  #home(phase: HTMLElement): HTMLElement {
    const last = all(".phase", this).at(-1);
    const key = phase.dataset.phase ?? "";
    if (last && (key === "" || last.dataset.phase === key)) return one("ol", last) ?? last;
    const next = document.importNode(phase, true);
    one("ol", next)?.replaceChildren();
    one(".log", this)?.append(next);
    return one("ol", next) ?? next;
  }

  async #older(): Promise<void> {
    const link = one<HTMLAnchorElement>(".older a", this);
    if (this.#loading || !link) return;
    this.#loading = true;
    try {
      const address = new URL(link.href);
      address.searchParams.set("part", "1");
      const page = await getPage(address.href);
      const fresh = one("mgx-timeline", page);
      if (!fresh) return;
      const height = document.documentElement.scrollHeight;
      one(".log", this)?.prepend(...all(".phase", fresh).map((phase) => document.importNode(phase, true)));
      one(".older", this)?.replaceWith(document.importNode(one(".older", fresh) ?? document.createElement("p"), true));
      one(".older a", this)?.addEventListener("click", (e) => {
        e.preventDefault();
        void this.#older();
      });
      scrollBy({ top: document.documentElement.scrollHeight - height, behavior: "instant" });
      this.#trim("end");
    } finally {
      this.#loading = false;
    }
  }

  /** Lets go of what is far from where the reader is. */
  #trim(side: "start" | "end"): void {
    const items = all(".item", this);
    const over = items.length - most;
    if (over <= 0) return;
    for (const item of side === "start" ? items.slice(0, over) : items.slice(-over)) item.remove();
    for (const phase of all(".phase", this)) if (!one(".item", phase)) phase.remove();
    if (side === "end") {
      this.#cut = true;
      this.#tell();
      return;
    }
    const first = one(".item", this)?.dataset.seq;
    const older = one(".older", this);
    if (!first || !older) return;
    const link = one<HTMLAnchorElement>("a", older) ?? older.appendChild(document.createElement("a"));
    link.textContent = older.dataset.text ?? "";
    link.href = `?before=${first}`;
    older.hidden = false;
  }

  readonly #scrolled = (): void => {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#atEnd && !this.#cut && this.#new > 0) {
        this.#new = 0;
        this.#tell();
      }
      const top = one(".older a", this)?.getBoundingClientRect().bottom ?? -1;
      if (top > 0 && scrollY < 400) void this.#older();
    });
  };

  #tell(): void {
    if (!this.#pill) return;
    this.#pill.hidden = this.#new === 0 && !this.#cut;
    const text = one("span", this.#pill);
    if (text) text.textContent = this.#new > 0 ? (this.dataset.new ?? "").replace("%d", String(this.#new)) : (this.dataset.end ?? "");
  }

  #toEnd(): void {
    if (this.#cut) {
      location.assign(location.pathname);
      return;
    }
    this.#new = 0;
    this.#tell();
    this.#trim("start");
    this.#scrollToEnd();
  }

  #scrollToEnd(): void {
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }

  readonly #piece = (e: Event): void => {
    const piece = (e as CustomEvent<Live>).detail;
    const text = piece.text ?? piece.tool ?? "";
    if (!this.#pieces || text === "") return;
    const follow = this.#atEnd;
    this.#pieces.dataset.kind = piece.tool === undefined ? "says" : "prints";
    const who = one("b", this.#pieces);
    if (who && piece.agent) who.textContent = piece.agent;
    this.#say(piece.again ? text : this.#said + text);
    if (follow) this.#scrollToEnd();
  };

  /** Shows the end of what is being said; the whole comes with its event. */
  #say(text: string): void {
    this.#said = text.slice(-8000);
    if (!this.#pieces) return;
    this.#pieces.hidden = this.#said === "";
    const said = one("pre", this.#pieces);
    if (said) said.textContent = this.#said;
  }
}

customElements.define("mgx-timeline", Timeline);
