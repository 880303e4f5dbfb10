import { all, one } from "./dom";

interface Choice {
  readonly name: string;
  readonly go: () => void;
}

/** <mgx-palette> finds what the page links to and can do, by name. */
class Palette extends HTMLElement {
  #choices: Choice[] = [];
  #found: Choice[] = [];
  #at = 0;

  connectedCallback(): void {
    const input = one<HTMLInputElement>("input", this);
    const dialog = this.closest("dialog");
    if (!input || !dialog) return;
    dialog.addEventListener("opened", () => {
      this.#choices = choices();
      input.value = "";
      this.#show("");
      input.focus();
    });
    input.oninput = () => this.#show(input.value);
    input.onkeydown = (e) => {
      if (e.key === "ArrowDown" || e.key === "ArrowUp") {
        this.#at = Math.max(0, Math.min(this.#found.length - 1, this.#at + (e.key === "ArrowDown" ? 1 : -1)));
        this.#mark();
      } else if (e.key === "Enter") {
        dialog.close();
        this.#found[this.#at]?.go();
      } else return;
      e.preventDefault();
    };
    one("ul", this)?.addEventListener("click", (e) => {
      const i = all("li", this).indexOf((e.target as HTMLElement).closest("li") as HTMLElement);
      dialog.close();
      this.#found[i]?.go();
    });
  }

  #show(text: string): void {
    const words = text.toLowerCase().split(/\s+/);
    this.#found = this.#choices.filter((c) => words.every((w) => c.name.toLowerCase().includes(w))).slice(0, 12);
    this.#at = 0;
    const list = one("ul", this);
    const lines = this.#found.map((c, i) => {
      const line = document.createElement("li");
      line.id = `choice-${i}`;
      line.role = "option";
      line.textContent = c.name;
      return line;
    });
    if (lines.length === 0) {
      const none = document.createElement("li");
      none.className = "none";
      none.role = "option";
      none.ariaDisabled = "true";
      none.textContent = this.dataset.none ?? "";
      lines.push(none);
    }
    list?.replaceChildren(...lines);
    this.#mark();
  }

  #mark(): void {
    all("li", this).forEach((line, i) => (line.ariaSelected = String(i === this.#at && this.#found.length > 0)));
    one("input", this)?.setAttribute("aria-activedescendant", `choice-${this.#at}`);
    all("li", this)[this.#at]?.scrollIntoView({ block: "nearest" });
  }
}

/** Links and buttons that are seen, each name once. */
function choices(): Choice[] {
  const found = new Map<string, Choice>();
  for (const e of all<HTMLElement>("nav a, main a[href], main button")) {
    const name = (e.getAttribute("aria-label") ?? e.textContent ?? "").replace(/\s+/g, " ").trim();
    if (name && name.length < 120 && e.offsetParent !== null && !found.has(name)) {
      found.set(name, { name, go: () => (e instanceof HTMLAnchorElement ? e.click() : e.focus()) });
    }
  }
  return [...found.values()];
}

customElements.define("mgx-palette", Palette);
