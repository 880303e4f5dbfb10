import { one } from "./dom";

/**
 * <mgx-attach> sends files as they are chosen, and has its form name them, so that a form
 * which comes back still has them. A form that is sent meanwhile waits. Browsers make
 * digests only over TLS or on the machine itself; elsewhere it stays hidden.
 */
class Attach extends HTMLElement {
  private under = 0;
  private last = Promise.resolve();
  private waits?: () => void;

  connectedCallback(): void {
    const field = one<HTMLInputElement>("input[type=file]", this);
    const form = this.closest("form");
    if (!field || !form || !globalThis.crypto.subtle) return;
    this.hidden = false;
    field.addEventListener("change", () => {
      for (const file of field.files ?? []) this.send(file);
      field.value = "";
    });
    this.addEventListener("click", (e) => {
      const row = (e.target as Element).closest("button")?.closest("li");
      if (!row) return;
      row.remove();
      field.focus();
    });
    form.addEventListener("submit", (e) => {
      if (this.under === 0) return;
      e.preventDefault();
      this.waits = () => form.requestSubmit(e.submitter);
    });
  }

  /** Shows a file among those that were chosen, and how it goes when its turn has come. */
  private send(file: File): void {
    const row = one<HTMLTemplateElement>("template", this)?.content.cloneNode(true) as DocumentFragment | undefined;
    const item = row && one("li", row);
    const [named, state, button] = ["input", ".name", "button"].map((s) => item && one<HTMLInputElement>(s, item));
    if (!row || !item || !named || !state || !button) return;
    const says = (words: string): void => {
      state.textContent = words ? `${file.name}: ${words}` : file.name;
    };
    says(this.dataset.sending ?? "");
    button.setAttribute("aria-label", `${button.title} ${file.name}`);
    one("ul", this)?.append(row);
    this.under++;
    this.last = this.last.then(async () => {
      try {
        const digest = await this.keep(file);
        named.value = `${digest} ${file.name}`;
        says("");
      } catch (e) {
        named.remove();
        item.classList.add("bad");
        says(e instanceof Refused ? e.message : (this.dataset.failed ?? ""));
        this.waits = undefined; // whoever has sent the form sees that first
      }
      this.under--;
      if (this.under > 0) return;
      this.waits?.();
      this.waits = undefined;
    });
  }

  private async keep(file: File): Promise<string> {
    if (file.size > Number(this.dataset.most)) throw new Refused(this.dataset.large ?? "");
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    const digest = `sha256:${[...sum].map((b) => b.toString(16).padStart(2, "0")).join("")}`;
    const answer = await fetch(`/api/v1/attachments/${digest}`, {
      method: "PUT",
      headers: { "Content-Type": "application/octet-stream", "Mgx-Workspace": this.dataset.workspace ?? "" },
      body: file,
    });
    if (!answer.ok) throw new Refused(((await answer.json()) as { detail?: string }).detail ?? "");
    return digest;
  }
}

/** What the server, or this page, has against a file, in words for people. */
class Refused extends Error {}

customElements.define("mgx-attach", Attach);
