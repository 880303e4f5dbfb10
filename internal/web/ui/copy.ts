import { one } from "./dom";

/** <mgx-copy> copies the data-text of its button. Without a script it is not there. */
class Copy extends HTMLElement {
  connectedCallback(): void {
    const button = one<HTMLButtonElement>("button", this);
    if (!button) return;
    this.hidden = false;
    const label = button.getAttribute("aria-label") ?? "";
    button.onclick = async () => {
      await navigator.clipboard.writeText(button.dataset.text ?? "");
      button.dataset.copied = "";
      button.setAttribute("aria-label", button.dataset.done ?? label);
      setTimeout(() => {
        delete button.dataset.copied;
        button.setAttribute("aria-label", label);
      }, 1500);
    };
  }
}

customElements.define("mgx-copy", Copy);
