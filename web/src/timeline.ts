/** The chart of RSS over time: stacked owners, the line of RSS, limit, marks, snapshots; sets the moment and the span. */
import uPlot from "uplot";
import { annotate } from "./annotations.ts";
import { stack, type Area, type Areas, type Stack, type Surroundings } from "./areas.ts";
import type { Process, Span } from "./data.ts";
import { colour, el } from "./dom.ts";
import { clock, exactly, kib, size, tick } from "./units.ts";

/** A limit, or the use of a whole cgroup, so far above everything would flatten the chart: it is then told in words. */
const FAR_LIMIT = 1.7;

export interface TimelineEvents {
  moment(moment: number): void;
  span(span: Span | null): void;
  /** The pointer passes over a moment, at most once a frame; null: it has left. */
  preview(moment: number | null): void;
}

export class Timeline {
  readonly root: HTMLElement;
  private readonly host = el("div", { class: "chart" });
  private readonly legend = el("ol", { class: "legend", "aria-label": "What the areas are, with bytes at the moment" });
  private readonly readout = el("p", { class: "readout" });
  private readonly line = el("div", { class: "moment-line" });
  private readonly band = el("div", { class: "span-band", hidden: true });
  private plot: uPlot | null = null;
  private stack!: Stack;
  /** Of the legend: what shows the bytes at a moment. */
  private figures: ((moment: number) => void)[] = [];
  private moment = 0;
  private span: Span | null = null;
  private process!: Process;
  private frame = 0;

  constructor(
    private readonly around: Surroundings,
    private readonly events: TimelineEvents,
  ) {
    const button = (text: string, name: string, run: () => void) =>
      el("button", { type: "button", text, title: name, "aria-label": name, on: { click: run } });
    const buttons = el(
      "div",
      { class: "buttons" },
      button("+", "Zoom in", () => this.zoom(0.5)),
      button("\u2212", "Zoom out", () => this.zoom(2)),
      button("Whole run", "Show the whole run", () => this.showAll()),
    );
    this.root = el(
      "div",
      { class: "timeline" },
      el("div", { class: "chart-column" }, el("div", { class: "over-chart" }, this.readout, buttons), this.host),
      this.legend,
    );
    new ResizeObserver(() => this.plot?.setSize(this.box())).observe(this.host);
  }

  show(process: Process, areas: Areas): void {
    this.process = process;
    this.stack = stack(process, areas, this.around);
    this.build();
    this.listAreas();
    this.mark(this.moment, this.span);
  }

  /** Shows which moment and which span the page is about. */
  mark(moment: number, span: Span | null): void {
    cancelAnimationFrame(this.frame); // what the pointer passed over is of before
    this.moment = moment;
    this.span = span;
    this.placeOverlays();
    this.tell(moment);
    const over = this.plot?.over;
    over?.setAttribute("aria-valuenow", String(moment));
    over?.setAttribute("aria-valuetext", `${clock(this.process.raw.times[moment])}, ${this.facts(moment).join(", ")}`);
  }

  private build(): void {
    this.plot?.destroy();
    this.plot = null;
    const { raw, moments } = this.process;
    if (moments < 2) {
      this.host.replaceChildren(el("p", { class: "empty", text: "Of this process RSS is not known over time." }));
      return;
    }
    this.host.replaceChildren();
    const { areas, rss } = this.stack;
    const sums = stacked(areas);
    const highest = Math.max(1, ...(sums.at(-1) ?? []), ...rss.map((bytes) => bytes ?? 0));
    const isNear = (bytes: number | null) => bytes !== null && bytes <= FAR_LIMIT * highest;
    const limit = raw.limit.some(isNear);
    const usage = raw.usage.every((bytes) => bytes === null || isNear(bytes));
    this.plot = new uPlot(
      {
        ...this.box(),
        legend: { show: false },
        padding: [18, 12, null, null],
        scales: { x: { time: false }, y: { range: (_plot, _low, high) => [0, (high || 1) * 1.04] } },
        axes: axes(),
        series: series(areas, limit, usage),
        cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { show: false } },
        hooks: {
          draw: [(plot) => annotate(plot, raw, this.stack, limit)],
          setScale: [() => this.placeOverlays()],
          setSize: [() => this.placeOverlays()],
        },
      },
      [raw.times, ...sums.reverse(), rss, raw.usage, raw.limit] as uPlot.AlignedData,
      this.host,
    );
    this.plot.over.append(this.band, this.line);
    this.listen(this.plot);
  }

  private box() {
    return { width: Math.max(260, this.host.clientWidth), height: this.host.clientWidth < 600 ? 260 : 340 };
  }

  private listAreas(): void {
    this.figures = [];
    const { areas, name, rss } = this.stack;
    const line = el("span", { class: "swatch line" });
    this.legend.replaceChildren(
      this.legendItem(line, name, (moment) => rss[moment]),
      ...areas.filter((area) => area.isOwner).map((area) => this.legendArea(area)),
      ...areas.filter((area) => !area.isOwner).map((area) => this.legendArea(area)),
    );
  }

  private legendArea({ key, name, fill, bytes }: Area): HTMLElement {
    const swatch = el("span", { class: "swatch", text: key });
    swatch.style.background = fill;
    return this.legendItem(swatch, name, (moment) => bytes[moment]);
  }

  private legendItem(swatch: HTMLElement, name: string, bytes: (moment: number) => number | null): HTMLElement {
    const [rounded, exact] = [el("span", { class: "figure" }), el("span", { class: "figure exact" })];
    this.figures.push((moment) => {
      const value = bytes(moment);
      rounded.textContent = value === null ? "not known" : size(value);
      exact.textContent = value === null ? "" : kib(value);
    });
    return el("li", {}, swatch, el("span", { class: "name", text: name, title: name }), rounded, exact);
  }

  /** What was there at a moment: the one under the pointer, or the one that is set. */
  private tell(moment: number): void {
    const { raw } = this.process;
    if (!this.plot || moment >= raw.times.length) return;
    for (const show of this.figures) show(moment);
    const [rss, ...more] = this.facts(moment);
    this.readout.replaceChildren(
      el("strong", { text: `${clock(raw.times[moment])} \u00b7 ${rss}` }),
      el("span", { text: more.join(" \u00b7 ") }),
    );
  }

  private facts(moment: number): string[] {
    const { limit, usage, peak } = this.process.raw;
    const { name, rss } = this.stack;
    const bytes = rss[moment];
    const facts = [`${name} ${bytes === null || bytes === undefined ? "not known" : exactly(bytes)}`];
    if (moment === peak) facts.push(this.stack.peak);
    if (usage[moment] !== null) facts.push(`cgroup ${exactly(usage[moment])}`);
    if (limit[moment] !== null) facts.push(`limit ${exactly(limit[moment])}`);
    return facts;
  }

  private placeOverlays(): void {
    const { plot, span } = this;
    if (!plot) return;
    const at = (moment: number) => plot.valToPos(this.process.raw.times[moment], "x");
    this.line.style.transform = `translateX(${at(this.moment)}px)`;
    this.band.hidden = span === null;
    if (span) this.drawBand(at(Math.max(0, span.after)), at(span.until));
  }

  private drawBand(from: number, to: number): void {
    this.band.hidden = false;
    this.band.style.left = `${Math.min(from, to)}px`;
    this.band.style.width = `${Math.abs(to - from)}px`;
  }

  private listen(plot: uPlot): void {
    const { over } = plot;
    const help = "arrows move the moment, shift and arrows choose a span, plus and minus zoom, 0 shows all, P the peak";
    over.tabIndex = 0;
    over.setAttribute("role", "slider");
    over.setAttribute("aria-label", `Moment; ${help}`);
    over.setAttribute("aria-valuemin", "0");
    over.setAttribute("aria-valuemax", String(this.process.moments - 1));
    over.addEventListener("keydown", (event) => this.key(event));
    over.addEventListener("wheel", (event) => this.wheel(plot, event), { passive: false });
    over.addEventListener("pointermove", (event) => this.hover(plot, event));
    over.addEventListener("pointerleave", () => this.leave());
    over.addEventListener("pointerdown", (event) => this.drag(plot, event));
  }

  /** The readout follows the pointer; so does everything below, unless something is dragged or a span is chosen. */
  private hover(plot: uPlot, event: PointerEvent): void {
    const moment = plot.posToIdx(event.offsetX);
    this.tell(moment);
    if (!event.buttons && !this.span) this.preview(moment);
  }

  private leave(): void {
    this.tell(this.moment);
    this.preview(null);
  }

  /** A drag begins: what the pointer passed over before is no longer shown. */
  private dragged(): void {
    cancelAnimationFrame(this.frame);
    this.events.preview(null);
  }

  private preview(moment: number | null): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.events.preview(moment));
  }

  private key(event: KeyboardEvent): void {
    const last = this.process.moments - 1;
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10 }[event.key];
    const jump = { Home: 0, End: last, p: this.process.raw.peak, P: this.process.raw.peak }[event.key];
    if (step !== undefined && event.shiftKey) this.stretch(step);
    else if (step !== undefined) this.events.moment(Math.max(0, Math.min(last, this.moment + step)));
    else if (jump !== undefined) this.events.moment(jump);
    else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else if (event.key === "0") this.showAll();
    else if (event.key === "Escape") this.events.span(null);
    else return;
    event.preventDefault();
  }

  private stretch(step: number): void {
    const from = this.span ?? { after: this.moment - 1, until: this.moment };
    const until = Math.max(from.after + 1, Math.min(this.process.moments - 1, from.until + step));
    this.events.span({ after: from.after, until });
  }

  private wheel(plot: uPlot, event: WheelEvent): void {
    const { min, max } = plot.scales.x as { min: number; max: number };
    if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY < 0 ? 0.8 : 1.25, plot.posToVal(event.offsetX, "x"));
    else if (event.deltaX) this.shift(((max - min) * event.deltaX) / plot.over.clientWidth);
    else return; // a plain wheel scrolls the page
    event.preventDefault();
  }

  private drag(plot: uPlot, down: PointerEvent): void {
    if (down.button) return;
    const { over } = plot;
    const left = over.getBoundingClientRect().left;
    const start = down.clientX - left;
    let [last, moved] = [start, false];
    const move = (event: PointerEvent) => {
      const x = event.clientX - left;
      if (!moved && Math.abs(x - start) <= 4) return;
      if (!moved) this.dragged();
      moved = true;
      if (down.altKey) this.shift(plot.posToVal(last, "x") - plot.posToVal(x, "x"));
      else this.drawBand(start, x);
      last = x;
    };
    const end = (event: PointerEvent) => {
      over.removeEventListener("pointermove", move);
      over.removeEventListener("pointerup", end);
      over.removeEventListener("pointercancel", end);
      const x = event.clientX - left;
      const [from, to] = [Math.min(start, x), Math.max(start, x)];
      if (event.type === "pointercancel" || down.altKey) this.placeOverlays();
      else if (!moved) this.events.moment(plot.posToIdx(x));
      else if (down.shiftKey) {
        plot.setScale("x", { min: plot.posToVal(from, "x"), max: plot.posToVal(to, "x") });
        this.placeOverlays();
      } else {
        const after = plot.posToIdx(from);
        this.events.span({ after, until: Math.max(after + 1, plot.posToIdx(to)) });
      }
    };
    over.setPointerCapture(down.pointerId);
    over.addEventListener("pointermove", move);
    over.addEventListener("pointerup", end);
    over.addEventListener("pointercancel", end);
  }

  private zoom(factor: number, around = this.process.raw.times[this.moment]): void {
    const { plot } = this;
    if (!plot) return;
    const { min, max } = plot.scales.x as { min: number; max: number };
    const centre = Math.max(min, Math.min(max, around));
    this.range(centre - (centre - min) * factor, centre + (max - centre) * factor);
  }

  private shift(seconds: number): void {
    const { min, max } = this.plot!.scales.x as { min: number; max: number };
    const { times } = this.process.raw;
    const by = Math.max(times[0] - min, Math.min(times.at(-1)! - max, seconds));
    this.range(min + by, max + by);
  }

  private showAll(): void {
    const { times } = this.process.raw;
    this.range(times[0], times.at(-1)!);
  }

  private range(min: number, max: number): void {
    const { times } = this.process.raw;
    const [first, last] = [times[0], times.at(-1)!];
    const narrowest = (last - first) / (times.length * 2);
    if (max - min < narrowest) return;
    this.plot?.setScale("x", { min: Math.max(first, min), max: Math.min(last, max) });
  }
}

/** The upper edge of each area. A part below zero takes nothing: then the areas reach above the line of RSS. */
function stacked(areas: Area[]): Float64Array[] {
  const sums: Float64Array[] = [];
  for (const { bytes } of areas) {
    const below = sums.at(-1);
    sums.push(Float64Array.from(bytes, (value, i) => Math.max(0, value) + (below ? below[i] : 0)));
  }
  return sums;
}

function axes(): uPlot.Axis[] {
  const font = "12px system-ui, sans-serif";
  const grid = { stroke: colour("--rule"), width: 1 };
  const axis = { stroke: colour("--muted"), font, grid, ticks: { show: false } };
  return [
    { ...axis, values: (_plot, at) => at.map((second) => `${Number(second.toFixed(6))} s`), space: 70, size: 30 },
    { ...axis, values: (_plot, at) => at.map(tick), incrs: Array.from({ length: 50 }, (_, i) => 2 ** i), size: 72 },
  ];
}

/** limit, usage: whether these are shown. */
function series(areas: Area[], limit: boolean, usage: boolean): uPlot.Series[] {
  const points = { show: false };
  return [
    {},
    // The highest first: each lower area covers what is not its own.
    ...areas.map((area) => ({ fill: area.fill, stroke: colour("--surface"), width: 0.75, points })).reverse(),
    { stroke: colour("--ink"), width: 1.75, points },
    { stroke: colour("--muted"), width: 1, dash: [2, 3], points, auto: usage, show: usage },
    { stroke: colour("--warn"), width: 1.5, dash: [5, 4], points, auto: limit, show: limit },
  ];
}
