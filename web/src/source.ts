/** The source of one file with what its lines hold and touched, and what the event log says of them. */
import { lineIndex, type Focus, type Frames, type Groups, type Trace } from "./data.ts";
import { el } from "./dom.ts";
import { Rows, bar, type Column } from "./rows.ts";
import { change, clean, count, duration, label, size } from "./units.ts";

const MOST_FILES = 2000;
const LONGEST = 500;
const RESIDENT = "resident at the moment";
const TOUCHED = "touched in the span or the whole run";

interface Row {
  line: number;
  text: string | null;
  resident: number;
  residentTotal: number;
  touched: number;
  touchedTotal: number;
  hits: number;
  time: number;
  change: number;
}

export class Source {
  readonly root: HTMLElement;
  private readonly rows = new Rows<Row>("Source lines", {});
  private readonly choice = el("select", { on: { change: () => this.open(this.files[this.choice.selectedIndex], 0) } });
  private readonly note = el("p", { class: "note" });
  private readonly groupsOf = new Map<string, number[]>();
  private files: string[] = [];
  private file = "";
  private shown: Row[] = [];
  private focus!: Focus;

  constructor(
    private readonly frames: Frames,
    private readonly places: Groups,
    private readonly sources: Trace["sources"],
  ) {
    places.frame.forEach((frame, i) => {
      const groups = this.groupsOf.get(frames.file[frame]);
      if (groups) groups.push(i);
      else this.groupsOf.set(frames.file[frame], [i]);
    });
    const choose = el("label", { class: "file" }, el("span", { text: "File" }), this.choice);
    this.root = el("div", { class: "source" }, el("div", { class: "tools" }, choose), this.note, this.rows.root);
  }

  /** Another process: the files are listed by what their lines touched in it. */
  list(focus: Focus): void {
    const { process } = focus;
    const touched = process.touchedIn(process.all);
    const sums = process.groupSums(process.tree, this.places, touched, process.tree.totals(touched));
    const weight = new Map<string, number>();
    for (const [file, groups] of this.groupsOf) {
      // What its lines brought in with all they called: a program's own files come first, not those at the end of stacks.
      const bytes = groups.reduce((most, i) => Math.max(most, sums.total[i]), 0);
      if (file && (bytes > 0 || Object.hasOwn(this.sources, file))) weight.set(file, bytes);
    }
    for (const file of Object.keys(process.raw.lines ?? {})) if (!weight.has(file)) weight.set(file, 0);
    const known = (file: string) => Number(Object.hasOwn(this.sources, file));
    this.files = [...weight.keys()]
      .sort((a, b) => known(b) - known(a) || weight.get(b)! - weight.get(a)! || (a < b ? -1 : 1))
      .slice(0, MOST_FILES);
    this.choice.replaceChildren(...this.files.map((file) => el("option", { text: label(file, 100) })));
    if (!this.files.includes(this.file)) this.file = this.files[0] ?? "";
    this.choice.selectedIndex = this.files.indexOf(this.file);
    this.focus = focus;
    this.revealHeaviest();
  }

  show(focus: Focus): void {
    this.focus = focus;
    this.shown = this.file ? this.annotated() : [];
    this.rows.show(this.columns(), this.shown);
    const missing = this.file !== "" && !Object.hasOwn(this.sources, this.file);
    this.note.hidden = this.file !== "" && !missing;
    this.note.textContent = missing
      ? "The text of this file is not in the page. These are its lines of which something is known."
      : "No file is known.";
  }

  /** line 0: the first. */
  open(file: string, line: number): void {
    this.file = file;
    if (!this.files.includes(file)) {
      this.files.push(file);
      this.choice.append(el("option", { text: label(file, 100) }));
    }
    this.choice.selectedIndex = this.files.indexOf(file);
    this.show(this.focus);
    const row = this.shown.findIndex((known) => known.line === line);
    if (row >= 0) this.rows.reveal(row);
    else this.revealHeaviest();
  }

  private revealHeaviest(): void {
    this.show(this.focus);
    let heaviest = 0;
    this.shown.forEach((row, i) => {
      if (row.touched > this.shown[heaviest].touched) heaviest = i;
    });
    this.rows.reveal(heaviest);
  }

  private annotated(): Row[] {
    const { process, resident, touched } = this.focus;
    const { tree, raw } = process;
    const now = process.groupSums(tree, this.places, resident, tree.totals(resident));
    const came = process.groupSums(tree, this.places, touched, tree.totals(touched));
    const rows = new Map<number, Row>();
    const at = (line: number, text: string | null = null): Row => {
      let row = rows.get(line);
      if (!row) {
        row = { line, text, resident: 0, residentTotal: 0, touched: 0, touchedTotal: 0, hits: 0, time: 0, change: 0 };
        rows.set(line, row);
      }
      return row;
    };
    if (Object.hasOwn(this.sources, this.file)) {
      const { first, lines } = this.sources[this.file];
      lines.forEach((text, i) => at(first + i, text));
    }
    for (const i of this.groupsOf.get(this.file) ?? []) {
      if (!now.total[i] && !came.total[i] && !now.self[i]) continue;
      const row = at(this.frames.line[this.places.frame[i]]);
      [row.resident, row.residentTotal, row.touched, row.touchedTotal] = [
        now.self[i],
        now.total[i],
        came.self[i],
        came.total[i],
      ];
    }
    if (raw.lines && Object.hasOwn(raw.lines, this.file)) {
      for (const [line, hits, time, growth, release] of lineIndex(raw.lines[this.file]).values()) {
        Object.assign(at(line), { hits, time, change: growth - release });
      }
    }
    return [...rows.values()].sort((a, b) => a.line - b.line);
  }

  private columns(): Column<Row>[] {
    const most = (key: "residentTotal" | "touchedTotal") =>
      this.shown.reduce((high, row) => Math.max(high, row[key]), 0);
    const columns: Column<Row>[] = [
      {
        ...{ key: "line", title: "line", help: "" },
        fill: (cell, row) => (cell.textContent = row.line ? String(row.line) : "?"),
      },
      figure("residentTotal", "resident", `${RESIDENT}, with all that the line called`, size, most("residentTotal")),
      figure("resident", "self", `${RESIDENT}, of the line itself`, size, 0, true),
      figure("touchedTotal", "touched", `${TOUCHED}, with all that the line called`, size, most("touchedTotal")),
      figure("touched", "self", `${TOUCHED}, by the line itself`, size, 0, true),
    ];
    if (this.focus.process.raw.lines) {
      columns.push(
        figure("hits", "hits", "how often the line ran, by the event log", count, 0, true),
        figure("time", "time", "by the event log", duration, 0, true),
        figure("change", "change", "of RSS, by the event log: rises less falls", change, 0, true),
      );
    }
    columns.push({
      ...{ key: "text", title: "source", help: "", text: true },
      fill: (cell, row) =>
        cell.append(el("code", { text: row.text === null ? "" : clean(row.text.slice(0, LONGEST)) })),
    });
    return columns;
  }
}

function figure(
  key: Exclude<keyof Row, "line" | "text">,
  title: string,
  help: string,
  text: (value: number) => string,
  high = 0,
  wide = false,
): Column<Row> {
  return {
    ...{ key, title, help, wide },
    fill: (cell, row) => bar(cell, row[key] ? text(row[key]) : "", row[key], high),
  };
}
