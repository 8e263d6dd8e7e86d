/** What changed from another trace (or several of the same program) to this one, at the peaks of RSS. */
import type { Grouping } from "./data.ts";
import { el } from "./dom.ts";
import { Rows, type Column } from "./rows.ts";
import { Tools } from "./tools.ts";
import { change, count, label, size } from "./units.ts";

type Status = "new" | "gone" | "grew" | "shrank" | "same" | "noise";

/** As src/pymemtrace/page/comparison.py makes it. Sizes are bytes. */
export interface Comparison {
  base: string[];
  notes: string[];
  whole: [base: number, now: number];
  parts: [name: string, base: number, now: number][];
  rows: Record<Grouping, [name: string, place: string, status: Status, base: number, now: number, spread: number][]>;
  left_out: Record<Grouping, number>;
}

interface Row {
  name: string;
  place: string;
  status: Status;
  base: number;
  now: number;
  change: number;
  spread: number;
}

type Figure = "base" | "now" | "change" | "spread";

const MOST_NAMES = 5;

export class Comparing {
  readonly root: HTMLElement;
  private readonly rows = new Rows<Row>("Changes", { head: (key) => this.sortBy(key as Figure | "name" | "status") });
  private readonly tools: Tools;
  private sort: { key: Figure | "name" | "status"; down: boolean } | null = null;

  constructor(private readonly data: Comparison) {
    const list = () => {
      this.rows.rewind();
      this.list();
    };
    this.tools = new Tools("function", "name, /regex/", list, list);
    const notes = data.notes.map((note) => el("p", { class: "note", text: label(note, 1000) }));
    this.root = el("div", { class: "table" }, this.books(), ...notes, this.tools.root, this.rows.root);
    this.list();
  }

  /** Which traces, and the parts of RSS: their changes add up. */
  private books(): HTMLElement {
    const { base, whole, parts } = this.data;
    const names = base
      .slice(0, MOST_NAMES)
      .map((name) => label(name))
      .join(", ");
    const more = base.length > MOST_NAMES ? ` and ${count(base.length - MOST_NAMES)} more` : "";
    const changed = parts.filter(([, before, now]) => now !== before);
    const terms = changed.map(([name, before, now]) => `${label(name.replace("_", " "))} ${change(now - before)}`);
    const sum = `RSS ${size(whole[0])} \u2192 ${size(whole[1])}: ${change(whole[1] - whole[0])}`;
    return el("p", {
      class: "caption",
      text: `from ${names}${more}. ${sum}${terms.length ? ` = ${terms.join(", ")}` : ""}`,
    });
  }

  private list(): void {
    const all = this.data.rows[this.tools.grouping].map(([name, place, status, base, now, spread]) => ({
      ...{ name: label(name), place: label(place), status, base, now, spread },
      change: now - base,
    }));
    const hidden = this.data.left_out[this.tools.grouping];
    let shown = this.tools.chosen(all, hidden ? `, ${count(hidden)} smaller changes left out` : "");
    if (this.sort) {
      const { key, down } = this.sort;
      shown = [...shown].sort((a, b) => (down ? -1 : 1) * (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0));
    }
    this.rows.show(columns(), shown, this.sort ?? undefined);
  }

  private sortBy(key: Figure | "name" | "status"): void {
    const figure = key !== "name" && key !== "status";
    this.sort = { key, down: this.sort?.key === key ? !this.sort.down : figure };
    this.rows.rewind();
    this.list();
  }
}

function columns(): Column<Row>[] {
  const figure = (key: Figure, title: string, help: string, text: (bytes: number) => string): Column<Row> => ({
    ...{ key, title, help, wide: key === "spread" || key === "base" },
    fill: (cell, row) => (cell.textContent = row[key] ? text(row[key]) : ""),
  });
  return [
    {
      ...{ key: "name", title: "Owner", help: "Sort by name", text: true },
      fill: (cell, row) => {
        cell.title = `${row.name}  ${row.place}`;
        cell.append(el("span", { class: "name", text: row.name }), el("span", { class: "place", text: row.place }));
      },
    },
    {
      ...{ key: "status", title: "what", help: "what happened" },
      fill: (cell, row) => (cell.textContent = row.status),
    },
    figure("change", "change", "resident at the peaks: this trace less the other", change),
    figure("base", "base", "resident at the peak of the other trace (of several the median)", size),
    figure("now", "now", "resident at the peak of this trace", size),
    figure("spread", "\u00b1", "by how much the runs of the other side differ among themselves", size),
  ];
}
