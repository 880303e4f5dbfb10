import { all, one } from "./dom";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** How long ago a time is, in the words that the server uses. */
function ago(at: number): string {
  const seconds = (Date.now() - at) / 1000;
  if (seconds < -60) return day.format(at);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  if (seconds < 30 * 86_400) return `${Math.round(seconds / 86_400)} d ago`;
  return day.format(at);
}

/**
 * <mgx-time> keeps the time within it true, with the exact one in the reader's zone
 * as its title; with as="clock" or as="exact" it tells the time itself, in that zone.
 */
class Time extends HTMLElement {
  connectedCallback(): void {
    this.tell();
  }

  tell(): void {
    const time = one<HTMLTimeElement>("time", this);
    const at = Date.parse(time?.dateTime ?? "");
    if (!time || Number.isNaN(at)) return;
    time.title = `${exact.format(at)} (${zone})`;
    const as = this.getAttribute("as");
    const text = as === "clock" ? clock.format(at) : as === "exact" ? exact.format(at) : ago(at);
    if (time.textContent !== text) time.textContent = text;
  }
}

/** <mgx-elapsed since="…"> counts how long something has been going on. */
class Elapsed extends HTMLElement {
  connectedCallback(): void {
    this.tell();
  }

  tell(): void {
    const since = Date.parse(this.getAttribute("since") ?? "");
    if (Number.isNaN(since)) return;
    const s = Math.max(0, Math.floor((Date.now() - since) / 1000));
    this.textContent = s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  }
}

customElements.define("mgx-time", Time);
customElements.define("mgx-elapsed", Elapsed);
setInterval(() => {
  if (document.hidden) return;
  for (const e of all<Elapsed>("mgx-elapsed")) e.tell();
}, 1000);
setInterval(() => {
  if (document.hidden) return;
  for (const e of all<Time>("mgx-time:not([as])")) e.tell();
}, 15_000);
