// An invitation comes behind the # of an address, which browsers send to nobody.
// It is put into the form, and out of the address, so that no history keeps it.
class Invitation extends HTMLElement {
  connectedCallback(): void {
    const field = this.querySelector("input");
    const token = location.hash.slice(1);
    if (!field || !/^mgxi_[A-Z2-7]{20,100}$/.test(token)) return;
    field.value = token;
    this.hidden = true;
    history.replaceState(null, "", location.pathname);
  }
}
customElements.define("mgx-invitation", Invitation);
