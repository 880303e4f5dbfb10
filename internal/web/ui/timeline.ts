import type { Live } from "../../../sdk/typescript/src/transport";
import { all, getPage, one } from "./dom";

/** Most items and nodes that a page holds at once, and how near to an end counts as there. */
const most = 400;
const mostNodes = 16_000;
const near = 160;

/** The number of the event that an item begins with. */
const seqOf = (item: HTMLElement): number => Number(item.dataset.seq ?? 0);

/**
 * <mgx-timeline> takes in what a run did since, as it comes: new items behind the
 * others, changed ones in their places. It holds a bounded window of the run: it
 * gets what is before and after it when the reader comes there, and lets go of what
 * is far away. What is being read is not moved; a pill says how much is new.
 *
 * Up to the event data-last everything is known here, shown or counted. The window
 * is cut while it ends before that: then what is new is counted only, until the
 * reader comes to the end of the window or asks for the newest.
 */
class Timeline extends HTMLElement {
  #new = 0;
  #cut = this.dataset.cut !== undefined;
  #edge = Number(this.dataset.last ?? 0); // the event with which the window ends
  #loading = false;
  #log = one(".log", this);
  #pill = one<HTMLButtonElement>("[data-key=n]", this);
  #pieces = one("#pieces", this);
  #said = "";
  #frame = 0;

  connectedCallback(): void {
    document.addEventListener("mgx:part", this.#part);
    document.addEventListener("mgx:piece", this.#piece);
    addEventListener("scroll", this.#scrolled, { passive: true });
    addEventListener("hashchange", this.#seek);
    this.addEventListener("click", (e) => {
      if (!(e.target as Element).closest(".older a")) return;
      e.preventDefault();
      void this.#older();
    });
    if (this.#pill) this.#pill.onclick = () => void this.#toEnd();
    if (this.#cut) this.dataset.last = this.dataset.head;
    this.#tell();
    if (location.hash === "" && this.dataset.follow !== undefined && !one(".decision")) this.#scrollToEnd(); // what waits for its reader comes first
    this.#seek();
  }

  disconnectedCallback(): void {
    document.removeEventListener("mgx:part", this.#part);
    document.removeEventListener("mgx:piece", this.#piece);
    removeEventListener("scroll", this.#scrolled);
    removeEventListener("hashchange", this.#seek);
  }

  get #atEnd(): boolean {
    return innerHeight + scrollY >= document.documentElement.scrollHeight - near;
  }

  readonly #part = (e: Event): void => {
    const fresh = one("mgx-timeline", (e as CustomEvent<Document>).detail);
    if (!fresh) return;
    const follow = this.#atEnd && !this.#cut;
    if (this.#pieces && all(".turn", fresh).length > 0) this.#say("");
    const added = this.#take(fresh, Number(this.dataset.last ?? 0), !this.#cut);
    this.dataset.last = fresh.dataset.last ?? this.dataset.last;
    if (!this.#cut) this.#edge = Number(this.dataset.last);
    if (added === 0) return;
    if (follow) {
      this.#trim("start");
      this.#scrollToEnd();
      return;
    }
    this.#new += added;
    this.#held(() => this.#trim("end"));
    this.#tell();
  };

  /**
   * Takes in what is new after an event and returns how many items that are; with
   * append they are put at the end. Items that are here change in their places, and
   * those of before that are not here were let go of.
   */
  #take(fresh: HTMLElement, after: number, append: boolean): number {
    one(".empty", this)?.remove();
    let added = 0;
    for (const phase of all(".phase", fresh)) {
      for (const item of all(".item", phase)) {
        const old = document.getElementById(item.id);
        if (old) change(old, item);
        else if (seqOf(item) > after) {
          added++;
          if (append) this.#home(phase).append(document.importNode(item, true));
        }
      }
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
    this.#log?.append(next);
    return one("ol", next) ?? next;
  }

  /** Puts what was before in front; the phase that goes on stays one. */
  #before(fresh: HTMLElement): void {
    const phases = all(".phase", fresh).map((phase) => document.importNode(phase, true));
    const first = one(".phase", this);
    const last = phases.at(-1);
    if (first && last && (first.dataset.phase === "" || first.dataset.phase === last.dataset.phase)) {
      one("ol", last)?.append(...all(".item", first));
      first.replaceWith(last);
    }
    this.#log?.prepend(...phases);
  }

  /** A part of the timeline by its address; undefined when it cannot be had now. */
  async #get(name: string, value: string): Promise<HTMLElement | undefined> {
    if (this.#loading) return undefined;
    this.#loading = true;
    if (this.#log) this.#log.ariaBusy = "true";
    const address = new URL(location.pathname, location.href);
    const at = new URLSearchParams(location.search).get("at");
    if (at) address.searchParams.set("at", at);
    if (name) address.searchParams.set(name, value);
    address.searchParams.set("part", "1");
    try {
      return one<HTMLElement>("mgx-timeline", await getPage(address.href)) ?? undefined;
    } catch {
      return undefined; // the reader is still there, and may come again
    } finally {
      this.#loading = false;
      setTimeout(() => this.#log && (this.#log.ariaBusy = String(this.#loading)));
    }
  }

  async #older(): Promise<void> {
    const link = one<HTMLAnchorElement>(".older a", this);
    if (!link) return;
    const fresh = await this.#get("before", new URL(link.href).searchParams.get("before") ?? "");
    if (!fresh) return;
    this.#quietly(() => {
      this.#before(fresh);
      this.#since(fresh);
      this.#trim("end");
    });
  }

  async #newer(): Promise<void> {
    for (let added = 0; added === 0 && this.#cut; ) {
      const fresh = await this.#get("after", String(this.#edge));
      if (!fresh) return;
      this.#quietly(() => {
        added = this.#take(fresh, this.#edge, true);
        this.#edge = Number(fresh.dataset.last);
        this.#trim("start");
      });
      if (fresh.dataset.more !== undefined) continue;
      this.#cut = false;
      this.#new = 0;
      this.dataset.last = fresh.dataset.last;
      this.#tell();
    }
  }

  /** Shows the part that ends with an event, or the newest. */
  async #show(before?: number): Promise<boolean> {
    const fresh = await this.#get(before === undefined ? "" : "before", String(before));
    if (!fresh) return false;
    if (this.#log?.contains(document.activeElement)) this.focus({ preventScroll: true });
    this.#log?.replaceChildren(...all(".phase", fresh).map((phase) => document.importNode(phase, true)));
    this.#since(fresh);
    this.#cut = fresh.dataset.cut !== undefined;
    this.#new = 0;
    this.#edge = Number(fresh.dataset.last);
    this.dataset.last = (this.#cut ? fresh.dataset.head : fresh.dataset.last) ?? this.dataset.last;
    this.#tell();
    return true;
  }

  /** An address may point to an item that is not in the window. */
  readonly #seek = async (): Promise<void> => {
    const seq = Number(/^#e(\d+)b*$/.exec(location.hash)?.[1] ?? 0);
    const id = location.hash.slice(1);
    if (seq === 0 || document.getElementById(id) || seq > Number(this.dataset.head ?? 0)) return;
    if (await this.#show(seq + 30)) document.getElementById(id)?.scrollIntoView({ block: "center" });
  };

  /** The link to what is before the window. */
  #since(fresh: HTMLElement): void {
    const link = one(".older", fresh);
    const old = one(".older", this);
    if (!link || !old) return;
    const next = document.importNode(link, true);
    const focused = old.contains(document.activeElement);
    old.replaceWith(next);
    if (focused) (one("a", next) ?? this).focus({ preventScroll: true });
  }

  /** Changes the timeline around what is read, which stays where it is and is not announced. */
  #quietly(change: () => void): void {
    if (this.#log) this.#log.ariaLive = "off";
    this.#held(change);
    requestAnimationFrame(() => setTimeout(() => this.#log && (this.#log.ariaLive = "polite"), 100));
  }

  #held(change: () => void): void {
    const mark = all(".item[data-seq]", this).find((item) => item.getBoundingClientRect().bottom > 0);
    const top = mark?.getBoundingClientRect().top ?? 0;
    change();
    const now = mark && document.getElementById(mark.id);
    if (now) scrollBy({ top: now.getBoundingClientRect().top - top, behavior: "instant" });
  }

  /** Lets go of what is far from where the reader is. */
  #trim(side: "start" | "end"): void {
    const items = all(".item[data-seq]", this);
    let over = items.length - most;
    let nodes = this.getElementsByTagName("*").length;
    const gone: HTMLElement[] = [];
    for (const item of side === "start" ? items : items.reverse()) {
      if (over-- <= 0 && nodes <= mostNodes) break;
      const box = item.getBoundingClientRect();
      if (box.height > 0 && box.bottom > -innerHeight && box.top < 2 * innerHeight) break;
      nodes -= item.getElementsByTagName("*").length + 1;
      gone.push(item);
    }
    if (gone.length === 0) return;
    if (gone.some((item) => item.contains(document.activeElement))) this.focus({ preventScroll: true });
    for (const item of gone) item.remove();
    for (const phase of all(".phase", this)) if (!one(".item", phase)) phase.remove();
    if (side === "end") {
      this.#cut = true;
      const last = all(".item[data-seq]", this).at(-1);
      if (last) this.#edge = seqOf(last);
      this.#tell();
      return;
    }
    const first = one(".item[data-seq]", this)?.dataset.seq;
    const older = one(".older", this);
    if (!first || !older) return;
    const link = one<HTMLAnchorElement>("a", older) ?? older.appendChild(document.createElement("a"));
    link.className = "button";
    link.textContent = older.dataset.text ?? "";
    const address = new URLSearchParams(location.search);
    address.set("before", first);
    link.href = `?${address.toString()}`;
    older.hidden = false;
  }

  readonly #scrolled = (): void => {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#atEnd && this.#cut) void this.#newer();
      else if (this.#atEnd && this.#new > 0) {
        this.#new = 0;
        this.#tell();
      }
      const top = one(".older a", this)?.getBoundingClientRect().bottom ?? -1;
      if (top > -near && scrollY < 400) void this.#older();
    });
  };

  #tell(): void {
    if (!this.#pill) return;
    const hide = this.#new === 0 && !this.#cut;
    if (hide && this.#pill === document.activeElement) this.focus({ preventScroll: true });
    this.#pill.hidden = hide;
    const text = one("span", this.#pill);
    if (text) text.textContent = this.#new > 0 ? (this.dataset.new ?? "").replace("%d", String(this.#new)) : (this.dataset.end ?? "");
  }

  async #toEnd(): Promise<void> {
    if (this.#cut && !(await this.#show())) return;
    this.#new = 0;
    this.#tell();
    this.#scrollToEnd();
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
    const follow = this.#atEnd && !this.#cut;
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

/** Puts an item in the place of what it was, as open as that and with its focus. */
function change(old: HTMLElement, fresh: HTMLElement): void {
  if (old.isEqualNode(fresh)) return;
  const next = document.importNode(fresh, true);
  const was = one<HTMLDetailsElement>("details", old);
  const now = one<HTMLDetailsElement>("details", next);
  if (was?.open && now) now.open = true;
  const at = old.contains(document.activeElement) ? all("summary,a,button,input,pre", old).indexOf(document.activeElement as HTMLElement) : -1;
  old.replaceWith(next);
  if (at < 0) return;
  const stops = all("summary,a,button,input,pre", next);
  (stops[at] ?? stops[0])?.focus({ preventScroll: true });
}

customElements.define("mgx-timeline", Timeline);
