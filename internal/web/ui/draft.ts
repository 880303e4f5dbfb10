import { all, changed, fieldsOf, one } from "./dom";

/**
 * What somebody has begun to write in a form with data-draft stays in this tab of
 * the browser until the form is sent and the server has taken it: a reload, a lost
 * connection or an answer that something was wrong loses nothing. Each draft belongs
 * to a page and a question; who signs out leaves none behind.
 */
const prefix = "draft:";
const sent = "draft-sent";

type Draft = Record<string, string | boolean>;

const keyOf = (form: HTMLFormElement): string => `${prefix}${location.pathname} ${form.dataset.draft ?? ""}`;

/** A browser may keep nothing; then the page works on as it would without. */
function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}

function save(form: HTMLFormElement): void {
  const draft: Draft = {};
  for (const f of fieldsOf(form)) {
    if (f.name && changed(f)) draft[f.name] = f.type === "checkbox" ? (f as HTMLInputElement).checked : f.value;
  }
  if (Object.keys(draft).length > 0) sessionStorage.setItem(keyOf(form), JSON.stringify(draft));
  else sessionStorage.removeItem(keyOf(form));
}

const restored = new WeakSet<HTMLFormElement>();

function restore(): void {
  for (const form of all<HTMLFormElement>("form[data-draft]")) {
    if (restored.has(form)) continue;
    restored.add(form);
    const draft = JSON.parse(sessionStorage.getItem(keyOf(form)) ?? "{}") as Draft;
    for (const f of fieldsOf(form)) {
      const value = draft[f.name];
      if (value === undefined || changed(f)) continue;
      if (typeof value === "boolean") (f as HTMLInputElement).checked = value;
      else f.value = value;
      const folded = f.closest("details");
      if (folded) folded.open = true;
    }
  }
}

document.addEventListener("input", (e) => {
  const form = (e.target as Partial<HTMLInputElement>).form;
  if (form?.dataset.draft !== undefined) attempt(() => save(form));
});
document.addEventListener("submit", (e) => {
  const form = e.target as HTMLFormElement;
  if (form.matches(".signout")) attempt(() => sessionStorage.clear());
  else if (form.dataset.draft !== undefined && !(e.submitter as HTMLButtonElement | null)?.formNoValidate) attempt(() => sessionStorage.setItem(sent, keyOf(form)));
});
document.addEventListener("mgx:part", () => attempt(restore));
attempt(() => {
  const key = sessionStorage.getItem(sent);
  sessionStorage.removeItem(sent);
  if (key && !one(".trouble, #wrong")) sessionStorage.removeItem(key);
  restore();
});
