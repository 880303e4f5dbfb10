import { all, one } from "./dom";

/** How a graph was looked at, by page: the page is drawn anew while it is. */
const looks = new Map<string, { zoom: number; left: number; top: number; node: string }>();

/** Smallest and largest zoom, and how much one step of it is. */
const least = 0.25;
const most = 3;
const step = 1.25;

/**
 * <mgx-graph> pans and zooms a graph that the server drew: with the pointer, with the
 * buttons, and with + - 0 and the arrows, which go from node to node.
 */
class Graph extends HTMLElement {
  #view = one(".graph-view", this);
  #svg = one<SVGSVGElement>(".graph-view > svg", this);
  #natural = { width: 0, height: 0 };
  #zoom = 1;

  connectedCallback(): void {
    const view = (this.#view = one(".graph-view", this));
    const svg = (this.#svg = one<SVGSVGElement>(".graph-view > svg", this));
    if (!view || !svg) return;
    this.#natural = { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };
    one(".graph-keys", this)?.removeAttribute("hidden");
    for (const button of all("[data-zoom]", this)) button.onclick = () => this.#press(button.dataset.zoom ?? "");
    view.addEventListener("keydown", this.#key);
    view.addEventListener("pointerdown", this.#drag);
    const look = looks.get(location.pathname);
    this.#scale(look?.zoom ?? 1);
    if (look) {
      view.scrollTo({ left: look.left, top: look.top, behavior: "instant" });
      if (look.node && document.activeElement === document.body) all<SVGAElement>("a.node", svg).find((n) => n.getAttribute("href") === look.node)?.focus({ preventScroll: true });
    } else view.scrollTo({ left: view.scrollWidth, behavior: "instant" });
    view.addEventListener("scroll", this.#keep, { passive: true });
    view.addEventListener("focusin", this.#keep);
    view.addEventListener("focusout", (e) => {
      if (e.relatedTarget) this.#keep(); // of what is taken away while it has the focus, there is none
    });
  }

  readonly #keep = (): void => {
    const view = this.#view;
    if (!view || !this.isConnected) return;
    const node = document.activeElement?.closest("a.node");
    looks.set(location.pathname, { zoom: this.#zoom, left: view.scrollLeft, top: view.scrollTop, node: node && view.contains(node) ? (node.getAttribute("href") ?? "") : "" });
  };

  /** The zoom at which all of it is seen. */
  #fitting(): number {
    const view = this.#view;
    if (!view || this.#natural.width === 0) return 1;
    const fit = Math.min((view.clientWidth - 26) / this.#natural.width, (innerHeight * 0.55) / this.#natural.height);
    return fit;
  }

  #scale(zoom: number): void {
    this.#zoom = Math.max(least, Math.min(most, zoom));
    this.#svg?.setAttribute("width", String(Math.round(this.#natural.width * this.#zoom)));
    this.#svg?.setAttribute("height", String(Math.round(this.#natural.height * this.#zoom)));
  }

  #press(what: string): void {
    const view = this.#view;
    if (!view) return;
    const middle = { x: (view.scrollLeft + view.clientWidth / 2) / this.#zoom, y: (view.scrollTop + view.clientHeight / 2) / this.#zoom };
    this.#scale(what === "in" ? this.#zoom * step : what === "out" ? this.#zoom / step : this.#fitting());
    view.scrollTo({ left: middle.x * this.#zoom - view.clientWidth / 2, top: middle.y * this.#zoom - view.clientHeight / 2, behavior: "instant" });
    this.#keep();
  }

  readonly #key = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const zoom = { "+": "in", "=": "in", "-": "out", "0": "fit" }[e.key];
    const go = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[e.key];
    if (zoom) this.#press(zoom);
    else if (!go || !this.#go(go[0] ?? 0, go[1] ?? 0)) return;
    e.preventDefault();
    e.stopPropagation();
  };

  /** Goes to the nearest node in a direction; from outside of them to the last one. */
  #go(dx: number, dy: number): boolean {
    const nodes = all<SVGAElement>("a.node", this);
    const here = document.activeElement?.closest<SVGAElement>("a.node");
    if (!here) {
      nodes.at(-1)?.focus();
      return nodes.length > 0;
    }
    const at = (n: Element) => {
      const r = n.getBoundingClientRect();
      return { x: r.x + r.width / 2, y: r.y + r.height / 2 };
    };
    const from = at(here);
    let best: SVGAElement | undefined;
    let least = Infinity;
    for (const node of nodes) {
      const to = at(node);
      const along = (to.x - from.x) * dx + (to.y - from.y) * dy;
      const across = Math.abs((to.x - from.x) * dy) + Math.abs((to.y - from.y) * dx);
      if (node === here || along <= 1 || along + 2 * across >= least) continue;
      least = along + 2 * across;
      best = node;
    }
    best?.focus();
    return true;
  }

  readonly #drag = (e: PointerEvent): void => {
    const view = this.#view;
    if (!view || e.button !== 0 || e.pointerType !== "mouse") return;
    const start = { x: e.clientX + view.scrollLeft, y: e.clientY + view.scrollTop };
    const move = (m: PointerEvent): void => {
      view.classList.add("dragged");
      view.scrollTo({ left: start.x - m.clientX, top: start.y - m.clientY, behavior: "instant" });
    };
    const end = (): void => {
      view.classList.remove("dragged");
      removeEventListener("pointermove", move);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end, { once: true });
    addEventListener("pointercancel", end, { once: true });
  };
}

customElements.define("mgx-graph", Graph);
