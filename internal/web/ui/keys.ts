import { all, one, writing } from "./dom";

/** Buttons that open a dialog, and the keys that do what links and buttons of the page do. */
export function bindKeys(): void {
  for (const button of all<HTMLButtonElement>("[data-open]")) {
    button.hidden = false;
    button.addEventListener("click", () => open(button.dataset.open ?? ""));
  }
  let prefix = 0;
  document.addEventListener("keydown", (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "k") {
      e.preventDefault();
      open("palette");
      return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey || writing(e.target) || one("dialog[open]")) return;
    const after = prefix;
    prefix = 0;
    if (after && e.timeStamp - after < 1500) {
      one<HTMLAnchorElement>(`[data-go="${CSS.escape(e.key)}"]`)?.click();
      return;
    }
    const act = actions[e.key];
    if (e.key === "g") prefix = e.timeStamp;
    else if (act?.() !== false && act) e.preventDefault();
  });
}

const actions: Record<string, () => boolean | void> = {
  "?": () => open("help"),
  "/": () => focus("[data-search]") || open("palette"),
  j: () => move(1),
  k: () => move(-1),
  Enter: () => (document.activeElement === document.body ? openItem() : false),
  a: () => focus("[data-key=a]"),
  r: () => focus("[data-key=r]"),
  n: () => click("[data-key=n]"),
  c: () => comment() || click("[data-key=c]") || click("main a[href='/tasks/new']"),
  x: () => mark(),
  ".": () => focus("[data-key='.']"),
  Escape: () => shut(),
};

function open(id: string): boolean {
  const dialog = document.getElementById(id);
  if (!(dialog instanceof HTMLDialogElement)) return false;
  if (!dialog.open) dialog.showModal();
  dialog.dispatchEvent(new Event("opened"));
  return true;
}

/** Closes what opened above the page, and goes back to what opened it. */
function shut(): boolean {
  const opened = one<HTMLDetailsElement>(".rail-more[open]");
  if (!opened) return false;
  opened.open = false;
  one("summary", opened)?.focus();
  return true;
}

function focus(selector: string): boolean {
  const found = all(selector).find((e) => e.checkVisibility());
  found?.focus();
  found?.scrollIntoView({ block: "nearest" });
  return found !== undefined;
}

function click(selector: string): boolean {
  const found = all(selector).find((e) => e.checkVisibility());
  found?.click();
  return found !== undefined;
}

/** Moves among the items of the page: rows of a list, lines of a timeline, files of a diff. */
function move(by: number): boolean {
  const items = all("[data-item]").filter((e) => e.checkVisibility());
  if (items.length === 0) return false;
  const here = items.findIndex((e) => e.hasAttribute("data-current") || e.contains(document.activeElement));
  const next = items[Math.min(items.length - 1, Math.max(0, here + by))] ?? items[0];
  for (const e of items) e.toggleAttribute("data-current", e === next);
  const target = next?.matches("summary,a,button,[tabindex]") ? next : one("summary,a,button", next);
  target?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "nearest" });
  return true;
}

/** The item that keys are about: the one they moved to, or the one with the focus. */
function current(): HTMLElement | undefined {
  return all("[data-item]").find((e) => e.hasAttribute("data-current") || e.contains(document.activeElement));
}

/** Opens the form for a comment on the current file of a change, and goes to it. */
function comment(): boolean {
  const item = current();
  const form = item && one<HTMLDetailsElement>("details.remark", item);
  if (!form) return false;
  if (item instanceof HTMLDetailsElement) item.open = true;
  form.open = true;
  one("input:not([type=hidden])", form)?.focus();
  return true;
}

/** Marks the current item, or takes the mark back: a file of a change as viewed, a line of a list to act on it. */
function mark(): boolean {
  const item = current();
  const box = item && (one("input.mark", item) ?? one(`input.viewed[data-file="${CSS.escape(item.id)}"]`));
  box?.click();
  return Boolean(box);
}

function openItem(): boolean {
  const link = one<HTMLElement>("[data-current] a, [data-current] summary");
  link?.click();
  return link !== null;
}
