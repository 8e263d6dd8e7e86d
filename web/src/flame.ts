/** The flame graph: an icicle on a canvas, of which only the rows in view are drawn; keyboard, search and SVG. */
import { matched, pattern, search, type Frames, type Values } from "./data.ts";
import { changeColour, moduleColour } from "./colours.ts";
import { colour, el, isDark, save } from "./dom.ts";
import { layout, type Cell, type Layout } from "./layout.ts";
import { change, clean, count, duration, share, size } from "./units.ts";

const ROW = 20;
const TALLEST = 560;
const PAD = 5;
const FONT = "12px system-ui, sans-serif";
const SVG_WIDTH = 1400;

export interface FlameEvents {
  source(file: string, line: number): void;
}

/** What the graph is of: "time" is nanoseconds, everything else bytes. */
export interface Shown {
  values: Values;
  title: string;
  unit: "bytes" | "time";
  /** Why there is nothing, if there is nothing. */
  empty: string;
}

export class Flame {
  readonly root: HTMLElement;
  private readonly canvas = el("canvas", { "aria-hidden": "true" });
  private readonly space = el("div", { class: "flame-space" });
  private readonly item = el("div", { role: "treeitem", class: "visually-hidden" });
  private readonly scroller: HTMLElement;
  private readonly details = el("p", { class: "details" });
  private readonly found = el("output", { class: "found" });
  private readonly query = el("input", {
    type: "search",
    placeholder: "file.py:42, name, /regex/",
    spellcheck: "false",
  });
  private readonly toSource = el("button", {
    type: "button",
    text: "Source",
    title: "Show this line in the source view (S)",
  });
  private shown!: Shown;
  private layout!: Layout;
  private told = 0;
  private width = 0;
  private height = 0;
  private rows = 0;
  private inverted = false;
  private zoomed: number[] = [];
  /** The way to the cell that was selected, of which some moments have only a part. */
  private selected: number[] = [];
  private matches: Uint8Array | null = null;
  private current!: Cell;
  private fills = new Map<number, string>();
  private fits = new Map<number, { text: string; width: number }>();

  constructor(
    private readonly frames: Frames,
    private readonly events: FlameEvents,
  ) {
    this.scroller = el(
      "div",
      { class: "flame", role: "tree", tabindex: 0, "aria-label": "Flame graph" },
      this.item,
      this.space,
    );
    this.space.append(this.canvas);
    const invert = el("input", { type: "checkbox", on: { change: () => this.invert(invert.checked) } });
    const svg = el("button", { type: "button", text: "Save SVG", on: { click: () => this.save() } });
    const reset = el("button", {
      type: "button",
      text: "Reset",
      title: "Show everything (Escape)",
      on: { click: () => this.reset() },
    });
    this.root = el(
      "div",
      {},
      el(
        "div",
        { class: "tools" },
        el("label", { class: "search" }, el("span", { class: "visually-hidden", text: "Search frames" }), this.query),
        this.found,
        el("span", { class: "spring" }),
        el(
          "label",
          { class: "check", title: "The functions that hold the bytes on top, their callers below" },
          invert,
          "Inverted",
        ),
        this.toSource,
        reset,
        svg,
      ),
      this.details,
      this.scroller,
    );
    this.listen();
  }

  /** passing: the moment is only passed by, so the graph does not get lower, and scrolls back to where it was. */
  show(shown: Shown, passing = false): void {
    this.shown = shown;
    this.find();
    this.arrange(passing);
  }

  /** After a change of theme. */
  repaint(): void {
    this.fills.clear();
    this.draw();
  }

  private invert(inverted: boolean): void {
    this.inverted = inverted;
    this.zoomed = this.selected = [];
    this.arrange();
  }

  private reset(): void {
    this.zoomed = this.selected = [];
    this.query.value = "";
    this.find();
    this.arrange();
  }

  private arrange(passing = false): void {
    this.width ||= this.scroller.clientWidth;
    const view = { inverted: this.inverted, zoom: this.zoomed, narrowest: 0.6 / Math.max(1, this.width) };
    this.layout = layout(this.frames, this.shown.values, view);
    this.current = follow(this.layout.cells[0], this.selected);
    this.rows = Math.max(this.layout.depth + 1, passing ? this.rows : 0);
    this.height = Math.min(TALLEST, this.rows * ROW);
    this.scroller.style.height = `${this.height}px`;
    this.space.style.height = `${this.rows * ROW}px`;
    this.draw();
    this.tell(this.current);
  }

  private draw(): void {
    const { canvas, scroller, width, height } = this;
    const ratio = devicePixelRatio;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const ctx = canvas.getContext("2d")!;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.font = FONT;
    ctx.textBaseline = "middle";
    const above = scroller.scrollTop;
    const [ink, dim, hit, accent] = ["--ink", "--dim", "--hit", "--accent"].map(colour);
    for (const cell of this.layout.cells) {
      const y = cell.depth * ROW - above;
      if (y + ROW < 0 || y > height) continue;
      const [x, w] = [cell.x * width, cell.w * width - 1];
      const matched = this.isMatch(cell);
      ctx.fillStyle = this.matches && !matched ? dim : this.fill(cell);
      ctx.fillRect(x, y, Math.max(0.5, w), ROW - 1);
      if (matched) {
        ctx.fillStyle = hit;
        ctx.fillRect(x, y + ROW - 4, Math.max(0.5, w), 3);
      }
      if (w > 24) {
        ctx.fillStyle = ink;
        ctx.globalAlpha = cell.depth < this.layout.focus.depth ? 0.6 : 1;
        ctx.fillText(this.fit(ctx, cell, w - 2 * PAD), x + PAD, y + ROW / 2);
        ctx.globalAlpha = 1;
      }
      if (cell === this.current) {
        ctx.strokeStyle = accent;
        ctx.lineWidth = 2;
        ctx.strokeRect(x + 1, y + 1, Math.max(1, w - 2), ROW - 3);
      }
    }
  }

  private isMatch(cell: Cell): boolean {
    return this.matches !== null && cell.depth > 0 && this.matches[cell.frame] === 1;
  }

  private fill(cell: Cell): string {
    if (cell.depth === 0) return colour("--root-cell");
    if (this.shown.values.net) return changeColour(cell.net, cell.value, isDark());
    let fill = this.fills.get(cell.frame);
    if (!fill) this.fills.set(cell.frame, (fill = moduleColour(this.frames.module[cell.frame], isDark())));
    return fill;
  }

  /** The cell's text, cut to the width. */
  private fit(ctx: CanvasRenderingContext2D, cell: Cell, room: number): string {
    const sign = this.shown.values.net ? `${change(cell.net)}  ` : "";
    let known = cell.depth && !sign ? this.fits.get(cell.frame) : undefined;
    if (!known) {
      const text = sign + this.name(cell);
      known = { text, width: ctx.measureText(text).width };
      if (cell.depth && !sign) this.fits.set(cell.frame, known);
    }
    if (known.width <= room) return known.text;
    let letters = Math.ceil((known.text.length * room) / known.width);
    let text = "";
    do text = `${known.text.slice(0, --letters)}\u2026`;
    while (letters > 0 && ctx.measureText(text).width > room);
    return letters > 0 ? text : "";
  }

  private name(cell: Cell): string {
    if (cell.depth === 0) return this.shown.title;
    const { name, place } = this.frames;
    return place[cell.frame] ? `${name[cell.frame]}  ${place[cell.frame]}` : name[cell.frame];
  }

  private amount(value: number): string {
    return this.shown.unit === "time" ? duration(value) : size(value);
  }

  private facts(cell: Cell): string {
    const whole = this.layout.cells[0].value;
    const facts = [this.amount(cell.value), share(cell.value, whole)];
    if (this.shown.values.net) {
      const [growth, release] = [(cell.value + cell.net) / 2, (cell.value - cell.net) / 2];
      facts.splice(0, 2, `change ${change(cell.net)}`, `growth ${size(growth)}`, `release ${size(release)}`);
    } else if (!this.inverted) facts.push(`self ${this.amount(cell.self)}`);
    if (cell.depth) facts.push(this.frames.module[cell.frame]);
    return facts.join(" \u00b7 ");
  }

  private tell(cell: Cell): void {
    const empty = this.layout.cells[0].value <= 0 ? this.shown.empty : "";
    this.details.replaceChildren(
      el("strong", { text: this.name(cell) }),
      el("span", { text: empty || this.facts(cell) }),
    );
    this.toSource.disabled = !cell.depth || !this.frames.file[cell.frame];
    if (cell !== this.current) return;
    const siblings = cell.parent?.children ?? [cell];
    // A new name each time, or screen readers would not read it again.
    this.item.id = `flame-item-${this.told++}`;
    this.scroller.setAttribute("aria-activedescendant", this.item.id);
    this.item.setAttribute("aria-level", String(cell.depth + 1));
    this.item.setAttribute("aria-setsize", String(siblings.length));
    this.item.setAttribute("aria-posinset", String(siblings.indexOf(cell) + 1));
    this.item.setAttribute("aria-label", `${this.name(cell)}, ${this.facts(cell)}`);
  }

  private select(cell: Cell | null | undefined): void {
    if (!cell) return;
    this.current = cell;
    this.selected = path(cell);
    const top = cell.depth * ROW;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    const bottom = top + ROW - this.height;
    if (bottom > this.scroller.scrollTop) this.scroller.scrollTop = bottom;
    this.draw();
    this.tell(cell);
  }

  private zoomTo(cell: Cell): void {
    this.zoomed = this.selected = path(cell);
    this.arrange();
  }

  private find(): void {
    const query = this.query.value.trim();
    this.matches = null;
    this.found.textContent = "";
    this.query.setCustomValidity("");
    if (!query) return;
    try {
      this.matches = search(this.frames, pattern(query));
    } catch {
      this.query.setCustomValidity("not a regular expression");
      this.found.textContent = "not a regular expression";
      return;
    }
    const { values } = this.shown;
    const { total, frames } = matched(values, this.matches);
    const whole = values.tree.size ? values.total[0] : 0;
    this.found.textContent = `${this.amount(total)}, ${share(total, whole)} in ${count(frames)} ${frames === 1 ? "frame" : "frames"}`;
  }

  private goToSource(cell: Cell): void {
    if (cell.depth && this.frames.file[cell.frame])
      this.events.source(this.frames.file[cell.frame], this.frames.line[cell.frame]);
  }

  private listen(): void {
    this.query.addEventListener("input", () => {
      this.find();
      this.draw();
    });
    this.toSource.addEventListener("click", () => this.goToSource(this.current));
    this.scroller.addEventListener("scroll", () => this.draw());
    this.canvas.addEventListener("pointermove", (event) => {
      const cell = this.hit(event);
      this.canvas.style.cursor = cell ? "pointer" : "";
      this.tell(cell ?? this.current);
    });
    this.canvas.addEventListener("pointerleave", () => this.tell(this.current));
    this.canvas.addEventListener("click", (event) => {
      const cell = this.hit(event);
      if (!cell) return;
      if (event.shiftKey || event.ctrlKey || event.metaKey) this.goToSource(cell);
      else this.zoomTo(cell);
    });
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => {
      if (this.scroller.clientWidth === this.width || !this.shown) return;
      this.width = this.scroller.clientWidth; // also when a scroll bar comes or goes
      this.arrange();
    }).observe(this.scroller);
  }

  private hit(event: MouseEvent): Cell | undefined {
    const x = event.offsetX / this.width;
    const depth = Math.floor((event.offsetY + this.scroller.scrollTop) / ROW);
    return this.layout.cells.find((cell) => cell.depth === depth && x >= cell.x && x < cell.x + cell.w);
  }

  private key(event: KeyboardEvent): void {
    const cell = this.current;
    const siblings = cell.parent?.children ?? [];
    const at = siblings.indexOf(cell);
    const keys: Record<string, () => void> = {
      ArrowUp: () => this.select(cell.parent),
      ArrowDown: () => this.select(cell.children[0]),
      ArrowLeft: () => this.select(siblings[at - 1]),
      ArrowRight: () => this.select(siblings[at + 1]),
      Home: () => this.select(this.layout.cells[0]),
      Enter: () => this.zoomTo(cell),
      " ": () => this.zoomTo(cell),
      Escape: () => this.reset(),
      s: () => this.goToSource(cell),
      S: () => this.goToSource(cell),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  /** The graph as it is zoomed and searched, in full height. */
  private save(): void {
    const view = { inverted: this.inverted, zoom: this.zoomed, narrowest: 0.3 / SVG_WIDTH };
    const { cells, depth } = layout(this.frames, this.shown.values, view);
    const height = (depth + 1) * ROW;
    const svg = svgElement("svg", {
      viewBox: `0 0 ${SVG_WIDTH} ${height}`,
      width: SVG_WIDTH,
      height,
      "font-family": "system-ui, sans-serif",
      "font-size": 12,
    });
    svg.append(svgElement("rect", { width: SVG_WIDTH, height, fill: colour("--surface") }));
    const ctx = document.createElement("canvas").getContext("2d")!;
    ctx.font = FONT;
    svg.append(...cells.map((cell) => this.svgCell(ctx, cell)));
    save(
      `${clean(this.shown.title).replace(/[^\w.-]+/g, "-")}.svg`,
      "image/svg+xml",
      new XMLSerializer().serializeToString(svg),
    );
  }

  private svgCell(ctx: CanvasRenderingContext2D, cell: Cell): SVGElement {
    const [x, w] = [cell.x * SVG_WIDTH, Math.max(0.3, cell.w * SVG_WIDTH - 1)];
    const y = cell.depth * ROW;
    const fill = this.matches && !this.isMatch(cell) ? colour("--dim") : this.fill(cell);
    const part = svgElement("g", {});
    part.append(
      svgElement("title", {}, `${this.name(cell)} \u00b7 ${this.facts(cell)}`),
      svgElement("rect", { x: x.toFixed(2), y, width: w.toFixed(2), height: ROW - 1, fill }),
    );
    const text = w > 24 ? this.fit(ctx, cell, w - 2 * PAD) : "";
    if (text) part.append(svgElement("text", { x: (x + PAD).toFixed(2), y: y + 14, fill: colour("--ink") }, text));
    return part;
  }
}

function svgElement(tag: string, attributes: Record<string, string | number>, text?: string): SVGElement {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag) as SVGElement;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Frames from below the root to the cell. */
function path(cell: Cell): number[] {
  const frames: number[] = [];
  for (let at: Cell | null = cell; at && at.depth; at = at.parent) frames.push(at.frame);
  return frames.reverse();
}

/** The cell at the end of a path, or as far down as the path is there. */
function follow(root: Cell, frames: number[]): Cell {
  let cell = root;
  for (const frame of frames) {
    const next = cell.children.find((child) => child.frame === frame);
    if (!next) break;
    cell = next;
  }
  return cell;
}
