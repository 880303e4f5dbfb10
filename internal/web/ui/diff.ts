import { all, one } from "./dom";

/**
 * <mgx-diff data-may> remembers in this browser which files somebody has viewed as
 * they are, opens the form of a comment at the line whose number is clicked, and
 * takes in what others say meanwhile: a file about which something is another is
 * drawn anew, with what somebody is writing in it.
 */
class Diff extends HTMLElement {
  connectedCallback(): void {
    document.addEventListener("mgx:part", this.#part);
    this.addEventListener("click", this.#clicked);
    this.addEventListener("change", this.#changed);
    this.#viewed();
  }

  disconnectedCallback(): void {
    document.removeEventListener("mgx:part", this.#part);
  }

  get #key(): string {
    return `viewed:${this.dataset.key ?? ""}`;
  }

  get #marks(): Set<string> {
    try {
      return new Set(JSON.parse(localStorage.getItem(this.#key) ?? "[]") as string[]);
    } catch {
      return new Set();
    }
  }

  #viewed(): void {
    const viewed = this.#marks;
    for (const box of all<HTMLInputElement>("input.viewed", this)) {
      const label = box.closest("label");
      if (label) label.hidden = false;
      box.checked = viewed.has(box.value);
      const file = document.getElementById(box.dataset.file ?? "");
      if (box.checked && file instanceof HTMLDetailsElement) file.open = false;
    }
  }

  readonly #changed = (e: Event): void => {
    const box = e.target;
    if (!(box instanceof HTMLInputElement) || !box.matches(".viewed")) return;
    const file = document.getElementById(box.dataset.file ?? "");
    if (file instanceof HTMLDetailsElement) file.open = !box.checked;
    const viewed = this.#marks;
    if (box.checked) viewed.add(box.value);
    else viewed.delete(box.value);
    try {
      localStorage.setItem(this.#key, JSON.stringify([...viewed].slice(-2000)));
    } catch {
      // A browser that keeps nothing shows the mark until the page is left.
    }
  };

  readonly #clicked = (e: Event): void => {
    if (!(e.target instanceof Element)) return;
    const link = e.target.closest<HTMLAnchorElement>(".tree a");
    const file = link && document.getElementById(link.hash.slice(1));
    if (file instanceof HTMLDetailsElement) file.open = true;
    const number = e.target.closest<HTMLElement>(".l i");
    if (number && this.dataset.may !== undefined) this.#at(number);
    if (e.target.closest("[data-away]")) this.#away(e.target.closest<HTMLFormElement>(".remark-form"));
  };

  /** Opens the form of a file below a line. */
  #at(number: HTMLElement): void {
    const line = number.closest(".l");
    const column = number.closest(".old,.new");
    const block = number.closest(".block");
    const form = one<HTMLFormElement>(".remark-form", number.closest(".file") ?? this);
    if (!line || !column || !block || !form) return;
    const side = column.matches(".old") && !block.matches(".same") ? "old" : "new";
    const n = side === "new" && column.matches(".old") ? this.#besides(block, line, column) : number.dataset.n;
    place(form, n ?? "", side, line, block);
    one<HTMLTextAreaElement>("textarea", form)?.focus();
  }

  /** The number on the new side of a line that stays. */
  #besides(block: Element, line: Element, column: Element): string | undefined {
    const row = [...column.children].indexOf(line);
    return one(`:scope > .new > .l:nth-child(${row + 1}) i`, block)?.dataset.n;
  }

  /** Puts a form back to where it begins. */
  #away(form: HTMLFormElement | null): void {
    const details = form && one<HTMLDetailsElement>(".remark", form.closest(".file") ?? this);
    if (!form || !details) return;
    form.reset();
    mark(form.closest(".file"));
    details.append(form);
    details.open = false;
    one("summary", details)?.focus();
  }

  readonly #part = (e: Event): void => {
    const fresh = one("mgx-diff", (e as CustomEvent<Document>).detail);
    if (!fresh || fresh.id !== this.id) return;
    const files = one(".files", this);
    const next = one(".files", fresh);
    if (!files || !next) {
      if (files || next) this.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
      this.#viewed();
      return;
    }
    const tree = one(".tree", fresh);
    const old = one(".tree", this);
    if (tree && old && !old.contains(document.activeElement)) old.replaceWith(document.importNode(tree, true));
    this.#take(files, next);
    this.#viewed();
  };

  /** Takes in the files of another difference, each in its place. */
  #take(files: Element, next: Element): void {
    const names = new Set(all(":scope > .file", next).map((f) => f.id));
    for (const file of all(":scope > .file", files)) if (!names.has(file.id)) file.remove();
    let before: Element | null = null;
    for (const fresh of all(":scope > .file", next)) {
      const old = document.getElementById(fresh.id);
      let file: Element | null = old;
      if (!old || old.dataset.version !== fresh.dataset.version) {
        file = document.importNode(fresh, true);
        if (old instanceof HTMLDetailsElement) again(old, file as HTMLDetailsElement);
        else if (before) before.after(file);
        else files.prepend(file);
      }
      before = file;
    }
  }
}

/** Puts a form below a line: its block ends there. */
function place(form: HTMLFormElement, n: string, side: string, line: Element, block: Element): void {
  const number = one<HTMLInputElement>("[name=line]", form);
  const sides = one<HTMLSelectElement>("[name=side]", form);
  if (number) number.value = n;
  if (sides) sides.value = side;
  mark(form.closest(".file"), line);
  const row = [...(line.parentElement?.children ?? [])].indexOf(line);
  const rest = block.cloneNode(false) as Element;
  for (const column of all(":scope > .old, :scope > .new", block)) {
    const part = column.cloneNode(false) as Element;
    part.append(...[...column.children].slice(row + 1));
    rest.append(part);
  }
  if (one(".l", rest)) block.after(rest);
  block.after(form);
  const away = one<HTMLButtonElement>("[data-away]", form);
  if (away) away.hidden = false;
}

function mark(file: Element | null, line?: Element): void {
  if (!file) return;
  for (const l of all(".l.marked", file)) l.classList.remove("marked");
  line?.classList.add("marked");
}

/** Puts a file in the place of what it was, with what somebody has opened and written. */
function again(old: HTMLDetailsElement, next: HTMLDetailsElement): void {
  next.open = old.open;
  const was = one<HTMLFormElement>(".remark-form", old);
  const now = one<HTMLFormElement>(".remark-form", next);
  const words = was && one<HTMLTextAreaElement>("textarea", was);
  const focused = was?.contains(document.activeElement) ?? false;
  old.replaceWith(next);
  if (!was || !now || !words || (words.value === "" && !focused)) return;
  const value = (name: string) => was.querySelector<HTMLInputElement | HTMLSelectElement>(`[name=${name}]`)?.value ?? "";
  for (const name of ["line", "side", "words", "key"]) {
    const field = now.querySelector<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>(`[name=${name}]`);
    if (field) field.value = value(name);
  }
  const line = lineOf(next, value("line"), value("side"));
  const block = line?.closest(".block");
  if (line && block && was.closest(".hunks")) place(now, value("line"), value("side"), line, block);
  else {
    const details = now.closest("details.remark");
    if (details instanceof HTMLDetailsElement) details.open = true;
  }
  if (focused) one<HTMLTextAreaElement>("textarea", now)?.focus({ preventScroll: true });
}

/** The line of a file that has a number on a side. */
function lineOf(file: Element, n: string, side: string): Element | undefined {
  return all(`.${side === "old" ? "old" : "new"} .l i[data-n="${CSS.escape(n)}"]`, file)[0]?.closest(".l") ?? undefined;
}

customElements.define("mgx-diff", Diff);
