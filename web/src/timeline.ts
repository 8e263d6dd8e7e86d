/** The chart of RSS over time: stacked owners, the line of RSS, limit, marks, snapshots; sets the moment and the span. */
import uPlot from "uplot";
import { PARTS, type Frames, type Grouping, type Groups, type Process, type Span } from "./data.ts";
import { colour, el, isDark } from "./dom.ts";
import { distinctColours } from "./colours.ts";
import { clock, label, size, tick } from "./units.ts";

/** What the areas are. "category": the parts of RSS, what stacks own as one. */
export type Areas = Grouping | "category";

const MOST_OWNERS = 12;
const PART_NAMES: Record<(typeof PARTS)[number], string> = {
  before_start: "before start",
  file: "file",
  shared: "shared",
  kernel: "kernel",
  tracer: "tracer",
  unexplained: "unexplained",
};
/** A limit, or the use of a whole cgroup, so far above everything would flatten the chart: it is then told in words. */
const FAR_LIMIT = 1.7;
/** Pixels that a name in an area needs in height. */
const LINE = 14;

interface Area {
  key: string;
  name: string;
  bytes: ArrayLike<number>;
  fill: string;
}

export interface TimelineEvents {
  moment(moment: number): void;
  span(span: Span | null): void;
}

export class Timeline {
  readonly root: HTMLElement;
  private readonly host = el("div", { class: "chart" });
  private readonly legend = el("ol", { class: "legend", "aria-label": "What the areas are, with bytes at the moment" });
  private readonly readout = el("p", { class: "readout" });
  private readonly line = el("div", { class: "moment-line" });
  private readonly band = el("div", { class: "span-band", hidden: true });
  private plot: uPlot | null = null;
  private areas: Area[] = [];
  private values: HTMLElement[] = [];
  private moment = 0;
  private span: Span | null = null;
  private process!: Process;

  constructor(
    private readonly frames: Frames,
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

  show(process: Process, groups: Groups | null, grouping: Areas): void {
    this.process = process;
    this.areas = this.stack(process, groups, grouping);
    this.build();
    this.listAreas();
    this.mark(this.moment, this.span);
  }

  /** Shows which moment and which span the page is about. */
  mark(moment: number, span: Span | null): void {
    this.moment = moment;
    this.span = span;
    this.placeOverlays();
    this.tell(moment);
    const over = this.plot?.over;
    over?.setAttribute("aria-valuenow", String(moment));
    over?.setAttribute("aria-valuetext", `${clock(this.process.raw.times[moment])}, ${this.facts(moment)}`);
  }

  private stack(process: Process, groups: Groups | null, grouping: Areas): Area[] {
    const { parts, threads } = process.raw;
    const part = (name: (typeof PARTS)[number], i: number): Area => ({
      ...{ key: "", name: PART_NAMES[name], bytes: parts[name] },
      fill: colour(`--part-${i + 1}`),
    });
    const grounds = PARTS.map(part).filter((area) => Array.prototype.some.call(area.bytes, (bytes) => bytes !== 0));
    const unexplained = grounds.filter((area) => area.name === PART_NAMES.unexplained);
    const found = process.ownersOverTime(groups, grouping === "category" ? 0 : MOST_OWNERS);
    const { frames } = this;
    const title = (owner: number) => {
      if (grouping === "thread") return `${label(threads[owner][1])} (${threads[owner][0]})`;
      const frame = groups!.frame[owner];
      if (grouping === "module") return frames.module[frame];
      return grouping === "line" ? `${frames.name[frame]}  ${shortPlace(frames.place[frame])}` : frames.name[frame];
    };
    const names = found.owners.map(title);
    const fills = distinctColours(names, isDark());
    const owners = names.map((name, i) => ({ key: String(i + 1), name, bytes: found.bytes[i], fill: fills[i] }));
    const rest = grouping === "category" ? "owned" : `${found.others} others`;
    if (found.others) owners.push({ key: "", name: rest, bytes: found.rest, fill: colour("--others") });
    return [...grounds.filter((area) => !unexplained.includes(area)), ...owners, ...unexplained];
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
    const sums: Float64Array[] = [];
    for (const { bytes } of this.areas) {
      const below = sums.at(-1);
      // A part below zero takes nothing from the stack: then the areas reach above the line of RSS.
      sums.push(Float64Array.from(bytes, (value, i) => Math.max(0, value) + (below ? below[i] : 0)));
    }
    const highest = Math.max(1, ...sums.at(-1)!, ...raw.rss.map((rss) => rss ?? 0));
    const isNear = (bytes: number | null) => bytes !== null && bytes <= FAR_LIMIT * highest;
    const near = raw.limit.some(isNear);
    const usageNear = raw.usage.every((usage) => usage === null || isNear(usage));
    const [ink, muted, rule, surface, warn] = ["--ink", "--muted", "--rule", "--surface", "--warn"].map(colour);
    const dashed = { dash: [5, 4], points: { show: false } };
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: muted, font, grid: { stroke: rule, width: 1 }, ticks: { show: false } };
    this.plot = new uPlot(
      {
        ...this.box(),
        legend: { show: false },
        padding: [18, 12, null, null],
        scales: { x: { time: false }, y: { range: (_plot, _low, high) => [0, (high || 1) * 1.04] } },
        axes: [
          { ...axis, values: (_plot, at) => at.map((second) => `${Number(second.toFixed(6))} s`), space: 70, size: 30 },
          {
            ...axis,
            values: (_plot, at) => at.map(tick),
            incrs: Array.from({ length: 50 }, (_, i) => 2 ** i),
            size: 72,
          },
        ],
        series: [
          {},
          // The highest first: each lower area covers what is not its own.
          ...this.areas
            .map((area) => ({ fill: area.fill, stroke: surface, width: 0.75, points: { show: false } }))
            .reverse(),
          { stroke: ink, width: 1.75, points: { show: false } },
          { ...dashed, stroke: muted, width: 1, dash: [2, 3], auto: usageNear, show: usageNear },
          { ...dashed, stroke: warn, width: 1.5, auto: near, show: near },
        ],
        cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { show: false } },
        hooks: {
          draw: [(plot) => this.annotate(plot)],
          setCursor: [(plot) => this.tell(plot.cursor.idx ?? this.moment)],
          setScale: [() => this.placeOverlays()],
          setSize: [() => this.placeOverlays()],
        },
      },
      [raw.times, ...sums.reverse(), raw.rss, raw.usage, raw.limit] as uPlot.AlignedData,
      this.host,
    );
    this.plot.over.append(this.band, this.line);
    this.listen(this.plot);
  }

  private box() {
    return { width: Math.max(260, this.host.clientWidth), height: this.host.clientWidth < 600 ? 260 : 340 };
  }

  private listAreas(): void {
    this.values = [];
    const items = this.areas.map((area) => {
      const swatch = el("span", { class: "swatch", text: area.key });
      swatch.style.background = area.fill;
      const value = el("span", { class: "figure" });
      this.values.push(value);
      return {
        owner: area.key !== "" || area.name.endsWith("others"),
        item: el("li", {}, swatch, el("span", { class: "name", text: area.name, title: area.name }), value),
      };
    });
    this.legend.replaceChildren(
      ...items.filter((i) => i.owner).map((i) => i.item),
      ...items.filter((i) => !i.owner).map((i) => i.item),
    );
  }

  /** What was there at a moment: the one under the cursor, or the one that is set. */
  private tell(moment: number): void {
    const { raw } = this.process;
    if (!this.plot || moment >= raw.times.length) return;
    this.areas.forEach((area, i) => (this.values[i].textContent = size(area.bytes[moment])));
    this.readout.textContent = `${clock(raw.times[moment])} \u00b7 ${this.facts(moment)}`;
  }

  private facts(moment: number): string {
    const { rss, limit, usage, peak } = this.process.raw;
    const facts = [`RSS ${rss[moment] === null ? "not known" : size(rss[moment])}`];
    if (moment === peak) facts.push("peak");
    if (usage[moment] !== null) facts.push(`cgroup ${size(usage[moment])}`);
    if (limit[moment] !== null) facts.push(`limit ${size(limit[moment])}`);
    return facts.join(" \u00b7 ");
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

  /** Names in the areas, the peak, marks and snapshots: nothing is told by colour alone. */
  private annotate(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const { raw } = this.process;
    const right = bbox.left + bbox.width;
    const px = (seconds: number) => plot.valToPos(seconds, "x", true);
    ctx.save();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "middle";
    this.nameAreas(plot, ratio);
    ctx.fillStyle = ctx.strokeStyle = colour("--ink");
    ctx.lineWidth = ratio;
    for (const [seconds, name] of raw.snapshots) {
      const x = px(seconds);
      if (x < bbox.left || x > right || !name) continue;
      const y = bbox.top + bbox.height;
      ctx.beginPath();
      ctx.moveTo(x, y - 7 * ratio);
      ctx.lineTo(x + 4 * ratio, y);
      ctx.lineTo(x - 4 * ratio, y);
      ctx.fill();
    }
    const taken: [number, number][] = [];
    const words = (x: number, text: string) => {
      const width = ctx.measureText(text).width;
      const from = Math.max(bbox.left, Math.min(x - 4 * ratio, right - width));
      const to = from + width + 10 * ratio;
      if (taken.some(([start, end]) => from < end && start < to)) return;
      ctx.fillText(text, from, bbox.top - 9 * ratio);
      taken.push([from, to]);
    };
    const upright = (seconds: number, to: number, dash: number[], text: string) => {
      const x = px(seconds);
      if (x < bbox.left || x > right) return;
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top - 3 * ratio);
      ctx.lineTo(x, to);
      ctx.stroke();
      words(x, text);
    };
    // The peak first: it has its words where marks are close.
    const peak = raw.rss[raw.peak];
    if (peak) upright(raw.times[raw.peak], plot.valToPos(peak, "y", true), [], `\u25bc peak ${size(peak)}`);
    for (const [seconds, text] of raw.marks) {
      upright(seconds, bbox.top + bbox.height, [2 * ratio, 3 * ratio], label(text, 24));
    }
    const limit = raw.limit.findLast((bytes) => bytes !== null);
    if (limit) {
      const y = plot.valToPos(limit, "y", true);
      const shown = plot.series.at(-1)!.show && y >= bbox.top;
      ctx.fillStyle = colour("--warn");
      ctx.fillText(
        `limit ${size(limit)}${shown ? "" : " \u2191"}`,
        bbox.left + 6 * ratio,
        shown ? y - 8 * ratio : bbox.top + 8 * ratio,
      );
    }
    ctx.restore();
  }

  /** Writes each area's name where it has the most room for a line of text. */
  private nameAreas(plot: uPlot, ratio: number): void {
    const { ctx, bbox } = plot;
    const right = bbox.left + bbox.width;
    const x = this.process.raw.times.map((time) => plot.valToPos(time, "x", true));
    const sum = new Float64Array(x.length);
    const edge = () => Array.from(sum, (bytes) => plot.valToPos(bytes, "y", true));
    let bottom = edge();
    ctx.fillStyle = colour("--on-area");
    ctx.textAlign = "center";
    for (const area of this.areas) {
      for (let i = 0; i < x.length; i++) sum[i] += Math.max(0, area.bytes[i]);
      const top = edge();
      const room = widest(x, top, bottom, bbox.left, right, LINE * ratio);
      bottom = top;
      const text = fitted(ctx, `${area.key} ${area.name}`.trim(), room.to - room.from - 8 * ratio) || area.key;
      if (room.to - room.from > LINE * ratio) ctx.fillText(text, (room.from + room.to) / 2, room.y);
    }
    ctx.textAlign = "left";
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
    over.addEventListener("pointerleave", () => this.tell(this.moment));
    over.addEventListener("pointerdown", (event) => this.drag(plot, event));
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
      moved ||= Math.abs(x - start) > 4;
      if (!moved) return;
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

function shortPlace(place: string): string {
  return place.slice(place.lastIndexOf("/") + 1);
}

/** The widest strip of a height within an area, from where it is thick enough at some moments on. All in pixels. */
function widest(x: number[], top: number[], bottom: number[], left: number, right: number, height: number) {
  let best = { from: 0, to: 0, y: 0 };
  const stride = Math.max(1, Math.floor(x.length / 80));
  for (let start = 0; start < x.length; start += stride) {
    let [low, high] = [bottom[start], top[start]];
    let end = start;
    while (low - high >= height) {
      const [from, to] = [Math.max(left, x[start]), Math.min(right, x[end])];
      if (to - from > best.to - best.from) best = { from, to, y: (low + high) / 2 };
      if (++end === x.length) break;
      low = Math.min(low, bottom[end]);
      high = Math.max(high, top[end]);
    }
  }
  return best;
}

/** The text, cut to a width; "" where too little of it is left to be read. */
function fitted(ctx: CanvasRenderingContext2D, text: string, room: number): string {
  const { width } = ctx.measureText(text);
  if (width <= room) return text;
  const letters = Math.floor((text.length * room) / width) - 1;
  return letters < 9 ? "" : `${text.slice(0, letters)}\u2026`;
}
