/** Puts the page together: header, timeline, and below it the views of the moment, or of the span, that is chosen. */
import "uplot/dist/uPlot.min.css";
import "./style.css";
import type { Areas } from "./areas.ts";
import { Comparing } from "./comparison.ts";
import {
  focus,
  Frames,
  groupings,
  isLogged,
  Process,
  widestGap,
  type Focus,
  type Mode,
  type Span,
  type Trace,
} from "./data.ts";
import { Choice, el } from "./dom.ts";
import { Flame, type Shown } from "./flame.ts";
import { Source } from "./source.ts";
import { Table, TITLES } from "./table.ts";
import { Timeline } from "./timeline.ts";
import { clock, count, duration, label, size } from "./units.ts";

const SCHEMA = 1;
const MOST_JUMPS = 300;
/** Of a command line, which may have a megabyte. */
const LONGEST = 2000;

class Page {
  private readonly frames: Frames;
  private readonly groups: ReturnType<typeof groupings>;
  private readonly processes: (Process | null)[];
  private readonly timeline: Timeline;
  private readonly flame: Flame;
  private readonly table: Table;
  private readonly source: Source;
  private process!: Process;
  private moment = 0;
  /** What is shown instead of the moment for as long as the pointer is there. */
  private preview: number | null = null;
  private span: Span | null = null;
  private mode: Mode = "resident";
  private thread = -1;
  private areas: Areas = "function";

  private readonly modes = el("div");
  private modeChoice!: Choice<Mode>;
  private readonly when = el("output", { class: "when", "aria-live": "polite" });
  private readonly jump = el("select", { "aria-label": "Jump to a moment", on: { change: () => this.jumpTo() } });
  private readonly threads = el("select", { on: { change: () => this.setThread(Number(this.threads.value)) } });
  private readonly whole = el("button", { type: "button", text: "Whole run", on: { click: () => this.setSpan(null) } });
  private readonly note = el("p", { class: "note" });
  private readonly resolution = el("p", { class: "hint" });
  private readonly flameNote = el("p", { class: "caption" });
  private readonly tableNote = el("p", { class: "caption" });
  private readonly sourceSection: HTMLElement;
  private readonly main: HTMLElement;

  constructor(private readonly trace: Trace) {
    this.frames = new Frames(trace.frames);
    this.groups = groupings(this.frames);
    this.processes = trace.processes.map(() => null);
    const source = (file: string, line: number) => this.openSource(file, line);
    const events = {
      moment: (moment: number) => this.setMoment(moment),
      span: (span: Span | null) => this.setSpan(span),
      preview: (moment: number | null) => this.setPreview(moment),
    };
    const around = { frames: this.frames, groups: this.groups, processes: trace.processes };
    this.timeline = new Timeline(around, events);
    this.flame = new Flame(this.frames, { source });
    this.table = new Table(this.frames, this.groups, { source, thread: (thread) => this.setThread(thread) });
    this.source = new Source(this.frames, this.groups.place, trace.sources);
    this.sourceSection = section("Source", "source", this.source.root);
    document.title = label(trace.title);
    const over = [this.note, this.tools(), this.timeline.root, this.resolution, hint()];
    this.main = el(
      "main",
      {},
      section("Resident memory over time", "timeline", ...over),
      this.bar(),
      section("Flame graph", "flame", this.flameNote, this.flame.root, flameHint()),
      section("Owners", "owners", this.tableNote, this.table.root),
      trace.comparison && section("What changed", "comparison", new Comparing(trace.comparison).root),
      this.sourceSection,
    );
    document.body.prepend(this.header(), this.main);
  }

  start(): void {
    const traced = this.trace.processes.findIndex((process) => process.traced);
    if (this.trace.processes.length) this.setProcess(Math.max(0, traced));
  }

  private header(): HTMLElement {
    const { trace } = this;
    const facts = [...trace.header, ["written by", trace.generator]].map(([name, text]) =>
      el(
        "div",
        { class: text.length > 32 ? "long" : "" },
        el("dt", { text: label(name) }),
        el("dd", { text: label(text, LONGEST) }),
      ),
    );
    const closing = trace.closing.map((line) => el("p", { text: label(line, LONGEST) }));
    return el(
      "header",
      { class: "page" },
      el(
        "div",
        { class: "top" },
        el("h1", { text: label(trace.title) }),
        el("span", { class: "spring" }),
        themes(() => this.repaint()),
      ),
      el("dl", {}, ...facts),
      closing.length ? el("div", { class: "closing" }, ...closing) : null,
      this.processList(),
    );
  }

  private processList(): HTMLElement {
    const rows = this.trace.processes.map((process, i) => {
      const rss = process.rss[process.peak];
      const on = { change: () => this.setProcess(i) };
      const title = process.traced ? label(process.name) : `${label(process.name)} (not traced)`;
      const input = el("input", { type: "radio", name: "process", value: i, on });
      return el(
        "tr",
        {},
        el("th", { scope: "row" }, el("label", {}, input, ` ${process.pid}`)),
        el("td", { text: title }),
        el("td", { class: "figure", text: rss === null || rss === undefined ? "" : size(rss) }),
        el("td", { class: "wide", text: label(process.engine) }),
        el("td", { text: label(process.end) }),
        el("td", { class: "wide command", text: label(process.command), title: label(process.command, LONGEST) }),
      );
    });
    const heads = ["pid", "process", "peak RSS", "engine", "end", "command"].map((text, i) =>
      el("th", { scope: "col", text, class: i === 2 ? "figure" : i === 3 || i === 5 ? "wide" : "" }),
    );
    return el(
      "div",
      { class: "processes", role: "region", "aria-label": "Processes", tabindex: 0 },
      el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)),
    );
  }

  private tools(): HTMLElement {
    const options: [Areas, string][] = [
      ["function", "Function"],
      ["module", "Module"],
      ["thread", "Thread"],
      ["line", "Line"],
      ["category", "Category"],
    ];
    if (this.trace.processes.length > 1) options.splice(3, 0, ["process", "Process"]);
    const choice = new Choice<Areas>("Areas by", options, this.areas, (areas) => {
      this.areas = areas;
      this.showTimeline();
    });
    return el("div", { class: "tools" }, choice.root);
  }

  /** What is chosen; it stays in sight above the views that it is about. */
  private bar(): HTMLElement {
    const step = (text: string, name: string, by: number) =>
      el("button", { type: "button", text, "aria-label": name, title: name, on: { click: () => this.step(by) } });
    return el(
      "div",
      { class: "bar", role: "region", "aria-label": "What the views below show" },
      el(
        "div",
        { class: "steps" },
        step("\u25c2", "One moment back", -1),
        step("\u25b8", "One moment on", 1),
        this.jump,
      ),
      this.when,
      this.whole,
      el("span", { class: "spring" }),
      this.modes,
      el("label", { class: "thread" }, el("span", { text: "Thread" }), this.threads),
    );
  }

  private setProcess(index: number): void {
    this.process = this.processes[index] ??= new Process(this.trace.processes[index], this.frames);
    const { raw, calls } = this.process;
    document.querySelectorAll<HTMLInputElement>("input[name=process]")[index].checked = true;
    this.note.textContent = label(raw.note ?? "", LONGEST);
    this.note.hidden = !raw.note;
    this.resolution.textContent = resolution(raw.times);
    this.moment = Math.max(0, Math.min(raw.peak, raw.times.length - 1));
    this.preview = null;
    this.span = null;
    this.thread = -1;
    if (!calls && isLogged(this.mode)) this.mode = "resident";
    this.listModes();
    const names = raw.threads.map(([tid, name], i) => el("option", { value: i, text: `${label(name, 40)} (${tid})` }));
    this.threads.replaceChildren(el("option", { value: -1, text: "all" }), ...names);
    this.listJumps();
    this.showTimeline();
    this.source.list(this.focus());
    this.show();
  }

  private listModes(): void {
    const modes: [Mode, string][] = [
      ["resident", "Resident"],
      ["touched", "Touched"],
      ["released", "Released"],
    ];
    if (this.process.calls) modes.push(["change", "RSS change"], ["time", "Time"]);
    this.modeChoice = new Choice("Show", modes, this.mode, (mode) => this.setMode(mode));
    this.modes.replaceChildren(this.modeChoice.root);
  }

  private listJumps(): void {
    const { marks, snapshots, peak } = this.process.raw;
    const option = (text: string, moment: number) => el("option", { text, value: moment });
    const at = (seconds: number) => nearest(this.process.raw.times, seconds);
    const named = snapshots.filter(([, name]) => name);
    this.jump.replaceChildren(
      option("Jump to\u2026", -1),
      option("the peak", peak),
      option("the end", this.process.moments - 1),
      ...marks.slice(0, MOST_JUMPS).map(([seconds, text]) => option(`mark ${label(text, 40)}`, at(seconds))),
      ...named.slice(0, MOST_JUMPS).map(([seconds, name]) => option(`snapshot ${label(name, 40)}`, at(seconds))),
    );
  }

  private jumpTo(): void {
    const moment = Number(this.jump.value);
    this.jump.selectedIndex = 0;
    if (moment >= 0) this.setMoment(moment);
  }

  private step(by: number): void {
    this.setMoment(Math.max(0, Math.min(this.process.moments - 1, this.moment + by)));
  }

  private setMoment(moment: number): void {
    this.moment = moment;
    this.preview = null;
    this.span = null;
    this.mode = "resident";
    this.show();
  }

  /** What a click would set, until the pointer leaves. */
  private setPreview(moment: number | null): void {
    const wanted = moment === this.moment && this.mode === "resident" ? null : moment;
    if (wanted === this.preview) return;
    this.preview = wanted;
    this.show();
  }

  private setSpan(span: Span | null): void {
    this.preview = null;
    const last = this.process.moments - 1;
    this.span = span && { after: Math.min(span.after, last - 1), until: Math.min(span.until, last) };
    if (this.span) {
      this.moment = this.span.until;
      if (this.mode !== "released") this.mode = "touched";
    }
    this.show();
  }

  private setMode(mode: Mode): void {
    this.preview = null;
    this.mode = mode;
    this.show();
  }

  private setThread(thread: number): void {
    this.preview = null;
    this.thread = thread;
    if (isLogged(this.mode)) this.mode = "resident"; // from the table: the others know no thread
    this.show();
  }

  /** What the views show now, be it chosen or only passed by. */
  private focus(): Focus {
    const mode = this.preview === null ? this.mode : "resident";
    const thread = isLogged(mode) ? -1 : this.thread;
    return focus(this.process, mode, this.preview ?? this.moment, this.span ?? this.process.all, thread);
  }

  private showTimeline(): void {
    this.timeline.show(this.process, this.areas);
    this.timeline.mark(this.moment, this.span);
  }

  private show(): void {
    const now = this.focus();
    const passing = this.preview !== null;
    // The page gets no shorter, or the chart could move away from under the pointer.
    this.main.style.minHeight = passing ? `${this.main.offsetHeight}px` : "";
    this.modeChoice.value = now.mode;
    this.showThread(now);
    this.whole.hidden = this.span === null;
    this.when.setAttribute("aria-live", passing ? "off" : "polite");
    this.when.classList.toggle("passing", passing);
    this.when.textContent = this.whenText(now.moment);
    const what = this.what(now);
    const hint = passing ? " (a click in the chart keeps it)" : "";
    this.flameNote.textContent = what + hint;
    this.tableNote.textContent = `self and total: ${what}${hint}. Touched and released: ${this.spanText()}.`;
    if (!passing) this.timeline.mark(this.moment, this.span);
    this.flame.show(this.shown(now, what), passing);
    this.table.show(now);
    this.source.show(now);
  }

  private showThread({ mode, thread }: Focus): void {
    const logged = isLogged(mode);
    this.threads.value = String(thread);
    this.threads.disabled = logged;
    this.threads.title = logged ? "The call tree of the event log is of all threads together" : "";
  }

  private shown({ mode, values }: Focus, what: string): Shown {
    const unit = mode === "time" ? "time" : "bytes";
    return { values, unit, title: `all: ${what}`, empty: "nothing here: choose another moment, span or thread" };
  }

  private whenText(moment: number): string {
    const { raw, moments } = this.process;
    if (!moments) return "no samples";
    const rss = raw.rss[moment];
    const peak = moment === raw.peak ? " (peak)" : "";
    const from = this.span ? `${clock(raw.times[Math.max(0, this.span.after)])} to ` : "";
    return `${from}${clock(raw.times[moment])}${peak} \u00b7 RSS ${rss === null ? "not known" : size(rss)}`;
  }

  private spanText(): string {
    if (!this.span) return "in the whole run";
    const { times } = this.process.raw;
    return `from ${clock(times[Math.max(0, this.span.after)])} to ${clock(times[this.span.until])}`;
  }

  private what({ mode, moment }: Focus): string {
    if (mode === "resident")
      return this.process.moments ? `resident at ${clock(this.process.raw.times[moment])}` : "resident";
    if (isLogged(mode)) {
      const title = TITLES[mode].toLowerCase().replace("rss", "RSS");
      return `${title} in the whole run, by the event log, of all threads`;
    }
    return `${mode} ${this.spanText()}`;
  }

  private openSource(file: string, line: number): void {
    this.source.open(file, line);
    this.sourceSection.scrollIntoView({ block: "start", behavior: "smooth" });
  }

  private repaint(): void {
    if (!this.process) return;
    this.showTimeline();
    this.flame.repaint();
  }
}

function section(title: string, id: string, ...children: (Node | null)[]): HTMLElement {
  return el("section", { "aria-labelledby": `title-${id}` }, el("h2", { id: `title-${id}`, text: title }), ...children);
}

function hint(): HTMLElement {
  return el("p", {
    class: "hint",
    text:
      "Point: a moment, for as long as you do. Click: keep it. Drag: span. Shift + drag, ctrl + wheel: zoom. Alt + drag: pan. Keys: \u2190 \u2192 moment, shift + \u2190 \u2192 span, + \u2212 0 zoom, P peak. " +
      "\u25b2 snapshot that was asked for, \u25b3 one that is taken anyway (start, after a fall, end), dotted upright a mark, dotted curve what the cgroup (container) uses. Where an unexplained part is negative the areas reach above the line of RSS. " +
      "By process the line is their sum; pages that processes share count in each.",
  });
}

/** What the chart cannot show. */
function resolution(times: number[]): string {
  if (times.length < 2) return "";
  const apart = duration(Math.round(widestGap(times) * 1e9));
  return `${count(times.length)} moments, at most ${apart} apart. Of what came and went between two of them only touched and released tell.`;
}

function flameHint(): HTMLElement {
  const text =
    "Click: zoom. Shift + click: source. Keys: arrows, Enter zoom, Escape reset, S source. Colours are modules; red rises, blue falls.";
  return el("p", { class: "hint", text });
}

type Theme = "auto" | "light" | "dark";

/** The theme of the system, or the one that is asked for. */
function themes(changed: () => void): HTMLElement {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let wanted: Theme = "auto";
  const apply = () => {
    document.documentElement.dataset.theme = wanted === "auto" ? (system.matches ? "dark" : "light") : wanted;
    changed();
  };
  system.addEventListener("change", apply);
  const choice = new Choice<Theme>(
    "Theme",
    [
      ["auto", "Auto"],
      ["light", "Light"],
      ["dark", "Dark"],
    ],
    "auto",
    (theme) => {
      wanted = theme;
      apply();
    },
  );
  document.documentElement.dataset.theme = system.matches ? "dark" : "light";
  return choice.root;
}

function nearest(times: number[], seconds: number): number {
  let best = 0;
  times.forEach((time, i) => {
    if (Math.abs(time - seconds) < Math.abs(times[best] - seconds)) best = i;
  });
  return best;
}

function main(): void {
  const text = document.getElementById("data")!.textContent!;
  const trace = JSON.parse(text) as Trace;
  if (trace.schema === SCHEMA) new Page(trace).start();
  else
    document.body.prepend(
      el("p", { text: `This page can show data of schema ${SCHEMA}, not of ${String(trace.schema)}.` }),
    );
}

main();
