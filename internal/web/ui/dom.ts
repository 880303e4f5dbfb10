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

/**
 * Puts an element of another document in the place of the one with its id, keeping
 * the focus. One with data-keep stays as it is until that is another.
 */
export function replace(fresh: HTMLElement): void {
  const old = document.getElementById(fresh.id);
  if (!old || old.isEqualNode(fresh) || (fresh.dataset.keep !== undefined && fresh.dataset.keep === old.dataset.keep)) return;
  const focused = old.contains(document.activeElement) ? focusOf(old, document.activeElement as HTMLElement) : undefined;
  const open = new Set(all<HTMLDetailsElement>("details[open][id]", old).map((d) => d.id));
  const written = all<HTMLTextAreaElement>("textarea[id]", old).filter((t) => t.value !== t.defaultValue);
  const next = document.importNode(fresh, true);
  old.replaceWith(next);
  for (const was of written) keep(was, one<HTMLTextAreaElement>(`#${CSS.escape(was.id)}`, next));
  for (const d of all<HTMLDetailsElement>("details[id]", next)) if (open.has(d.id)) d.open = true;
  if (focused) next.querySelector<HTMLElement>(focused)?.focus({ preventScroll: true });
}

/** Keeps what somebody has written, if it still answers the same question. */
function keep(was: HTMLTextAreaElement, now: HTMLTextAreaElement | null): void {
  const about = (t: HTMLTextAreaElement) => t.form?.querySelector<HTMLInputElement>("input[name=hash]")?.value;
  if (now && about(was) === about(now)) now.value = was.value;
}

/** A selector that finds the focused element again in its successor. */
function focusOf(within: Element, focused: HTMLElement): string | undefined {
  if (focused.id) return `#${CSS.escape(focused.id)}`;
  const name = focused.getAttribute("name");
  if (name) return `[name="${CSS.escape(name)}"]`;
  const href = focused.getAttribute("href");
  if (href) return `[href="${CSS.escape(href)}"]`;
  return within.contains(focused) ? focused.tagName.toLowerCase() : undefined;
}

/** Whether somebody is writing in an element. */
export function writing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
