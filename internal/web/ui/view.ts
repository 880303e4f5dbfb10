import { all, getPage, one } from "./dom";

/** Events of a run from which on the server is asked to make its moments ready when somebody reaches for the slider. */
const long = 4000;

/** <mgx-replay> goes to the moment that its slider shows, without waiting for its button. */
class Replay extends HTMLElement {
  connectedCallback(): void {
    const form = one<HTMLFormElement>("form", this);
    const range = one<HTMLInputElement>("input[type=range]", this);
    const shown = one("output", this);
    if (!form || !range) return;
    range.oninput = () => {
      if (shown) shown.textContent = range.value;
    };
    range.onchange = () => form.requestSubmit();
    if (Number(range.max) < long) return;
    const ready = () => {
      range.onpointerenter = range.onfocus = null;
      getPage(`${form.action}?at=${range.max}&part=1`).catch(() => {}); // only saves waiting
    };
    range.onpointerenter = range.onfocus = ready;
  }
}

/** <mgx-log> finds text in a long output and opens its middle. */
class Log extends HTMLElement {
  connectedCallback(): void {
    const input = one<HTMLInputElement>("input", this);
    const count = one("output", this);
    if (!input) return;
    one(".log-find", this)?.removeAttribute("hidden");
    input.oninput = () => {
      const text = input.value.toLowerCase();
      let n = 0;
      let first: Element | undefined;
      for (const line of all(".line", this)) {
        const hit = text !== "" && (line.textContent ?? "").toLowerCase().includes(text);
        line.classList.toggle("hit", hit);
        if (hit) {
          n++;
          first ??= line;
          const fold = line.closest("details");
          if (fold) fold.open = true;
        }
      }
      if (count) count.textContent = text === "" ? "" : String(n);
      first?.scrollIntoView({ block: "nearest" });
    };
  }
}

customElements.define("mgx-replay", Replay);
customElements.define("mgx-log", Log);

/** What an address points to is open, and marked. */
function target(): void {
  const found = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  const details = found instanceof HTMLDetailsElement ? found : found ? one<HTMLDetailsElement>("details", found) : null;
  if (details) details.open = true;
  found?.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", target);
target();
