import { getPage, one, replace } from "./dom";

/** <mgx-estimate> shows another estimate when another project or model is chosen, without its button. */
class Estimate extends HTMLElement {
  connectedCallback(): void {
    const form = this.closest("form");
    const fields = ["project", "model"].map((id) => document.getElementById(id));
    let asked = 0;
    const ask = async (): Promise<void> => {
      if (!form) return;
      const turn = ++asked;
      const now = new FormData(form);
      const address = new URL("/tasks/new", location.href);
      address.searchParams.set("part", "1");
      for (const name of ["project", "model"]) address.searchParams.set(name, String(now.get(name) ?? ""));
      try {
        const fresh = one("#estimate", await getPage(address.href));
        if (fresh && turn === asked) replace(fresh);
      } catch {
        // The button still asks, and says what is wrong.
      }
    };
    for (const field of fields) field?.addEventListener("change", () => void ask());
  }
}

customElements.define("mgx-estimate", Estimate);
