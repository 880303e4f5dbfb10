import { all, one } from "./dom";

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

/** <mgx-diff> remembers in this browser which files somebody has viewed. */
class Diff extends HTMLElement {
  connectedCallback(): void {
    const key = `viewed:${this.dataset.key ?? ""}`;
    let viewed: Set<string>;
    try {
      viewed = new Set(JSON.parse(localStorage.getItem(key) ?? "[]") as string[]);
    } catch {
      viewed = new Set();
    }
    for (const box of all<HTMLInputElement>("input.viewed", this)) {
      const file = document.getElementById(box.dataset.file ?? "") as HTMLDetailsElement | null;
      const label = box.closest("label");
      if (label) label.hidden = false;
      box.checked = viewed.has(box.value);
      if (box.checked && file) file.open = false;
      box.onchange = () => {
        if (file) file.open = !box.checked;
        if (box.checked) viewed.add(box.value);
        else viewed.delete(box.value);
        localStorage.setItem(key, JSON.stringify([...viewed].slice(-2000)));
      };
    }
    for (const link of all<HTMLAnchorElement>(".tree a", this)) {
      link.addEventListener("click", () => {
        const file = document.getElementById(link.hash.slice(1));
        if (file instanceof HTMLDetailsElement) file.open = true;
      });
    }
  }
}

customElements.define("mgx-replay", Replay);
customElements.define("mgx-log", Log);
customElements.define("mgx-diff", Diff);

/** What an address points to is open, and marked. */
function target(): void {
  const found = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  const details = found instanceof HTMLDetailsElement ? found : found ? one<HTMLDetailsElement>("details", found) : null;
  if (details) details.open = true;
  found?.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", target);
target();
