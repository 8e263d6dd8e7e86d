/** The table of owners: what each line, function, module or thread holds, touched and gave back. */
import { isLogged, lineIndex, type Focus, type Frames, type Grouping, type Groups } from "./data.ts";
import { el } from "./dom.ts";
import { Rows, bar, type Column } from "./rows.ts";
import { Tools } from "./tools.ts";
import { change, count, duration, label, share, size } from "./units.ts";

interface Row {
  name: string;
  place: string;
  file: string;
  line: number;
  thread: number;
  self: number;
  total: number;
  resident: number;
  touched: number;
  released: number;
  calls: number;
  time: number;
  growth: number;
  release: number;
}

type Figure = Exclude<keyof Row, "name" | "place" | "file" | "line" | "thread">;
type Sum = Record<Figure, ArrayLike<number>>;

const SELF = "of the line, function or module itself";
const TOTAL = "with all that it called";
const UNMEASURED = "; of RSS change and time the event log has sums of all threads only";

export interface TableEvents {
  source(file: string, line: number): void;
  thread(thread: number): void;
}

export class Table {
  readonly root: HTMLElement;
  private readonly rows: Rows<Row>;
  private readonly tools: Tools;
  private sort = { key: "self" as Figure | "name", down: true };
  private focus!: Focus;
  private all: Row[] = [];

  constructor(
    private readonly frames: Frames,
    private readonly groups: Record<Exclude<Grouping, "thread">, Groups>,
    private readonly events: TableEvents,
  ) {
    this.rows = new Rows("Owners", { head: (key) => this.sortBy(key as Figure), open: (row) => this.open(row) });
    const regrouped = () => {
      this.rows.rewind();
      this.show(this.focus);
    };
    const filtered = () => {
      this.rows.rewind();
      this.list();
    };
    this.tools = new Tools("line", "name, file.py:42, /regex/", regrouped, filtered);
    this.root = el("div", { class: "table" }, this.tools.root, this.rows.root);
  }

  show(focus: Focus): void {
    this.focus = focus;
    this.all = this.tools.grouping === "thread" ? this.threadRows() : this.frameRows(this.groups[this.tools.grouping]);
    this.list();
  }

  private list(): void {
    let shown = this.tools.chosen(this.all, this.isMeasured() ? "" : UNMEASURED);
    const { key, down } = this.sort;
    const sign = down ? -1 : 1;
    const compare =
      key === "name"
        ? (a: Row, b: Row) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
        : (a: Row, b: Row) => a[key] - b[key] || b.total - a.total;
    shown = [...shown].sort((a, b) => sign * compare(a, b));
    this.rows.show(this.columns(), shown, this.sort);
  }

  /** Whether what is shown is known of these owners. */
  private isMeasured(): boolean {
    return this.tools.grouping !== "thread" || !isLogged(this.focus.mode);
  }

  private sortBy(key: Figure | "name"): void {
    this.sort = { key, down: this.sort.key === key ? !this.sort.down : key !== "name" };
    this.rows.rewind();
    this.list();
  }

  private open(row: Row): void {
    if (row.thread >= 0) this.events.thread(row.thread);
    else if (row.file) this.events.source(row.file, row.line);
  }

  private columns(): Column<Row>[] {
    const { mode, process } = this.focus;
    const columns = [this.nameColumn(), ...(this.isMeasured() ? this.measureColumns() : [])];
    const memory: [Figure, string][] = [
      ["resident", "resident at the moment, without what it called"],
      ["touched", "touched in the span, or in the whole run, without what it called"],
      [
        "released",
        "of what was there or was touched, gone at the end of the span or of the run, without what it called",
      ],
    ];
    for (const [key, help] of memory) if (key !== mode) columns.push(figure(key, key, help, size, true));
    if (process.calls && this.tools.grouping !== "thread") columns.push(...logColumns(this.tools.grouping));
    return columns;
  }

  private nameColumn(): Column<Row> {
    const titles = { line: "Line", function: "Function", module: "Module", thread: "Thread" };
    return {
      ...{ key: "name", title: titles[this.tools.grouping], help: "Sort by name", text: true },
      fill: (cell, row) => {
        cell.title = `${row.name}  ${row.place}`;
        cell.append(el("span", { class: "name", text: row.name }), el("span", { class: "place", text: row.place }));
      },
    };
  }

  /** What is shown, of each owner. */
  private measureColumns(): Column<Row>[] {
    const { mode, values } = this.focus;
    const amount = mode === "time" ? duration : mode === "change" ? change : size;
    const whole = values.tree.size ? values.total[0] : 0;
    const most = this.all.reduce((high, row) => Math.max(high, row.self), 0);
    const self: Column<Row> = {
      ...{ key: "self", title: "self", help: `${TITLES[mode]}, ${SELF}` },
      fill: (cell, row) => bar(cell, amount(row.self), row.self, most),
    };
    const part: Column<Row> = {
      ...{ key: "share", title: "share", help: "self, of the whole" },
      fill: (cell, row) => (cell.textContent = share(row.self, whole)),
    };
    const total = figure("total", "total", `${TITLES[mode]}, ${TOTAL}`, amount);
    return mode === "change" ? [self, total] : [self, total, part];
  }

  private frameRows(groups: Groups): Row[] {
    const { frames } = this;
    const sums = this.sums(groups);
    const rows: Row[] = [];
    groups.frame.forEach((frame, i) => {
      const whole = this.tools.grouping === "module";
      const name = whole ? frames.module[frame] : frames.name[frame];
      const place =
        { line: frames.place, function: frames.path, module: null }[this.tools.grouping as "line"]?.[frame] ?? "";
      const line = whole ? 0 : frames.line[frame];
      const row = figures(sums, i, { name, place, file: frames.file[frame], line, thread: -1 });
      if (row) rows.push(row);
    });
    return rows;
  }

  private sums(groups: Groups): Sum {
    const { process, values, resident, touched, released } = this.focus;
    const self = (bytes: Float64Array) => process.groupSums(process.tree, groups, bytes, bytes).self;
    const shown = values.net ?? values.self;
    const measure = process.groupSums(
      values.tree,
      groups,
      shown,
      values.net ? values.tree.totals(shown) : values.total,
    );
    const none = new Float64Array(groups.frame.length);
    const memory = { ...measure, resident: self(resident), touched: self(touched), released: self(released) };
    if (!process.calls) return { ...memory, calls: none, time: none, growth: none, release: none };
    if (this.tools.grouping === "line") return { ...memory, ...this.lineEvents(groups) };
    const { tree, count: calls, time, growth, release } = process.calls;
    const all = (column: Float64Array) => process.groupSums(tree, groups, column, column).total;
    const counts = process.groupSums(tree, groups, calls, calls).self;
    return { ...memory, calls: counts, time: all(time), growth: all(growth), release: all(release) };
  }

  /** What the event log says of lines. It knows no functions: the first of a line has it. */
  private lineEvents(groups: Groups): Pick<Sum, "calls" | "time" | "growth" | "release"> {
    const [calls, time, growth, release] = [0, 0, 0, 0].map(() => new Float64Array(groups.frame.length));
    const { lines } = this.focus.process.raw;
    const seen = new Set<string>();
    groups.frame.forEach((frame, i) => {
      const [file, line] = [this.frames.file[frame], this.frames.line[frame]];
      const known = lines && Object.hasOwn(lines, file) ? lineIndex(lines[file]).get(line) : undefined;
      if (!known || seen.has(`${line}\0${file}`)) return;
      seen.add(`${line}\0${file}`);
      [, calls[i], time[i], growth[i], release[i]] = known;
    });
    return { calls, time, growth, release };
  }

  private threadRows(): Row[] {
    const { process, mode, moment, span } = this.focus;
    const sums = process.threadSums(moment, span);
    const none = new Float64Array(process.raw.threads.length);
    const measure = mode in sums ? sums[mode as keyof typeof sums] : none;
    const all: Sum = { ...sums, self: measure, total: measure, calls: none, time: none, growth: none, release: none };
    return process.raw.threads
      .map(([tid, name], i) =>
        figures(all, i, { name: label(name), place: `tid ${tid}`, file: "", line: 0, thread: i }),
      )
      .filter((row) => row !== null);
  }
}

export const TITLES: Record<Focus["mode"], string> = {
  resident: "Resident",
  touched: "Touched",
  released: "Released",
  change: "Change of RSS",
  time: "Time",
};

function figure(key: Figure, title: string, help: string, text: (value: number) => string, wide = false): Column<Row> {
  return { ...{ key, title, help, wide }, fill: (cell, row) => (cell.textContent = row[key] ? text(row[key]) : "") };
}

function logColumns(grouping: Grouping): Column<Row>[] {
  const calls = grouping === "line" ? "hits" : "calls";
  const fallen = (bytes: number) => size(-bytes);
  return [
    figure("calls", calls, `${calls} in the event log`, count, true),
    figure("time", "time", "time in the event log, with all that it called", duration, true),
    figure("growth", "growth", "rises of RSS in the event log, with all that it called", change, true),
    figure("release", "release", "falls of RSS in the event log, with all that it called", fallen, true),
  ];
}

/** A row, or null if there is nothing in it. */
function figures(sums: Sum, i: number, who: Omit<Row, Figure>): Row | null {
  const row = { ...who } as Row;
  let any = false;
  for (const key of Object.keys(sums) as Figure[]) {
    row[key] = sums[key][i];
    any ||= row[key] !== 0;
  }
  return any ? row : null;
}
