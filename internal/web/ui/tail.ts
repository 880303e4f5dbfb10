import { one } from "./dom";

/**
 * <mgx-tail> has the list of events that follows the stream stand still while
 * somebody reads it. What comes meanwhile is counted; the list is bounded, since it
 * is the newest page of the server's.
 */
class Tail extends HTMLElement {
  #new = 0;
  #button = one<HTMLButtonElement>("button", this);
  #going = one(".running", this);
  #still = one(".waiting", this);

  connectedCallback(): void {
    this.hidden = false;
    document.addEventListener("mgx:event", this.#came);
    if (this.#button) this.#button.onclick = () => this.#pause(this.#button?.ariaPressed !== "true");
  }

  disconnectedCallback(): void {
    document.removeEventListener("mgx:event", this.#came);
  }

  readonly #came = (): void => {
    if (this.#button?.ariaPressed !== "true") return;
    this.#new++;
    const text = one("span", this.#still ?? this);
    if (text) text.textContent = (this.dataset.new ?? "").replace("%d", String(this.#new));
  };

  #pause(paused: boolean): void {
    this.#new = 0;
    if (this.#button) this.#button.ariaPressed = String(paused);
    this.#going?.toggleAttribute("hidden", paused);
    this.#still?.toggleAttribute("hidden", !paused);
    const text = one("span", this.#still ?? this);
    if (text) text.textContent = this.dataset.paused ?? "";
    one("mgx-stream")?.toggleAttribute("paused", paused);
  }
}

customElements.define("mgx-tail", Tail);
