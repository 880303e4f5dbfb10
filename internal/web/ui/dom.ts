/** The first element that matches, if there is one. */
export function one<E extends Element = HTMLElement>(selector: string, within: ParentNode = document): E | null {
  return within.querySelector<E>(selector);
}

export function all<E extends Element = HTMLElement>(selector: string, within: ParentNode = document): E[] {
  return [...within.querySelectorAll<E>(selector)];
}

/** What a server's answer about a page may be, besides the page. */
export class AnswerError extends Error {
  constructor(readonly status: number) {
    super(`the server answered ${status}`);
  }
}

/**
 * Gets a page of this origin as a document. An XMLHttpRequest makes one without
 * running its scripts and without a string of markup in our hands, which Trusted
 * Types forbid.
 */
export function getPage(address: string, signal?: AbortSignal): Promise<Document> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.timeout = 30_000;
    request.onload = () => {
      const page = request.responseXML;
      if (request.status !== 200 || page === null || new URL(request.responseURL).pathname !== new URL(address, location.href).pathname) {
        reject(new AnswerError(request.status === 200 ? 401 : request.status));
      } else resolve(page);
    };
    request.onerror = request.ontimeout = () => reject(new AnswerError(0));
    signal?.addEventListener("abort", () => request.abort());
    request.send();
  });
}

/** How parts of the page came, before scripts and people changed them: only what comes otherwise is drawn anew. */
const came = new WeakMap<Element, Element>();
for (const part of all("[data-live][id]")) came.set(part, part.cloneNode(true) as Element);

/**
 * Puts an element of another document in the place of the one with its id, keeping
 * the focus. One with data-keep stays as it is until that is another.
 */
export function replace(fresh: HTMLElement): void {
  const old = document.getElementById(fresh.id);
  if (!old || (came.get(old) ?? old).isEqualNode(fresh) || (fresh.dataset.keep !== undefined && fresh.dataset.keep === old.dataset.keep)) return;
  const active = document.activeElement instanceof HTMLElement && old.contains(document.activeElement) ? document.activeElement : undefined;
  const next = document.importNode(fresh, true);
  came.set(next, fresh);
  keepWritten(old, next);
  keepOpen(old, next);
  const successor = active && successorOf(active, old, next);
  const caret = active instanceof HTMLTextAreaElement || (active instanceof HTMLInputElement && active.type === "text") ? [active.selectionStart, active.selectionEnd] : undefined;
  old.replaceWith(next);
  if (!active) return;
  successor?.focus({ preventScroll: true });
  if (caret && successor instanceof HTMLElement && "setSelectionRange" in successor) (successor as HTMLInputElement).setSelectionRange(caret[0] ?? null, caret[1] ?? null);
  if (document.activeElement !== document.body) return;
  next.tabIndex = -1; // what had the focus is gone: who reads on begins where it was
  next.focus({ preventScroll: true });
}

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** What people fill in, except for what must not be kept anywhere. */
export function fieldsOf(within: ParentNode): Field[] {
  return all<Field>("input[name],textarea[name],select[name],input[id],textarea[id]", within).filter((f) => !/^(hidden|password|file|submit|button|range)$/.test(f.type));
}

/** Whether somebody has changed a field since the page came. */
export function changed(f: Field): boolean {
  if (f instanceof HTMLSelectElement) return f.selectedIndex !== Math.max(0, [...f.options].findIndex((o) => o.defaultSelected));
  return f.type === "checkbox" || f.type === "radio" ? (f as HTMLInputElement).checked !== (f as HTMLInputElement).defaultChecked : f.value !== f.defaultValue;
}

/** Keeps what somebody has written, where it still answers the same question. */
function keepWritten(old: Element, next: Element): void {
  const about = (f: Field) => f.form?.querySelector<HTMLInputElement>("input[name=hash]")?.value;
  for (const was of fieldsOf(old)) {
    if (!was.id || !changed(was)) continue;
    const now = one<Field>(`#${CSS.escape(was.id)}`, next);
    if (!now || now.type !== was.type || about(was) !== about(now)) continue;
    if (was.type === "checkbox" || was.type === "radio") (now as HTMLInputElement).checked = (was as HTMLInputElement).checked;
    else now.value = was.value;
  }
}

/** Keeps open and closed what its reader has opened and closed. */
function keepOpen(old: Element, next: Element): void {
  const named = (within: Element) => {
    const found = new Map<string, HTMLDetailsElement>();
    for (const d of all<HTMLDetailsElement>("details", within)) {
      const name = d.id || (one("summary", d)?.textContent ?? "").trim();
      let n = 0;
      while (found.has(`${name} ${n}`)) n++;
      found.set(`${name} ${n}`, d);
    }
    return found;
  };
  const was = named(old);
  for (const [name, d] of named(next)) d.open = was.get(name)?.open ?? d.open;
}

/** The element that has the place of another one in its successor. */
function successorOf(active: HTMLElement, old: Element, next: Element): HTMLElement | undefined {
  if (active.id) return one<HTMLElement>(`#${CSS.escape(active.id)}`, next) ?? undefined;
  const marks = ["name", "value", "href", "data-key", "data-file"].filter((a) => active.hasAttribute(a)).map((a) => `[${a}="${CSS.escape(active.getAttribute(a) ?? "")}"]`);
  const alike = active.tagName.toLowerCase() + marks.join("");
  const there = all(alike, next);
  return there[all(alike, old).indexOf(active)] ?? there[0];
}

/** Whether somebody is writing in an element. */
export function writing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
