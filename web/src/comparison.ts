/** What changed from another trace (or several of the same program) to this one: at the peaks, at the ends, touched. */
import type { Grouping } from "./data.ts";
import { Choice, el } from "./dom.ts";
import { Rows, type Column } from "./rows.ts";
import { Tools } from "./tools.ts";
import { change, count, label, size } from "./units.ts";

type Status = "new" | "gone" | "grew" | "shrank" | "same" | "noise";

/** As src/pymemtrace/page/comparison.py makes it. Sizes are bytes. */
export interface Comparison {
  base: string[];
  views: Record<View, Compared>;
}

export type View = "peak" | "end" | "touched";

export interface Compared {
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
const VIEWS: [View, string][] = [
  ["peak", "Peak"],
  ["end", "End"],
  ["touched", "Touched"],
];
const QUANTITIES: Record<View, string> = {
  peak: "resident at the peak",
  end: "resident at the end",
  touched: "touched in the whole run",
};

export class Comparing {
  readonly root: HTMLElement;
  private readonly rows = new Rows<Row>("Changes", { head: (key) => this.sortBy(key as Figure | "name" | "status") });
  private readonly tools: Tools;
  private readonly head = el("div");
  private view: View = "peak";
  private sort: { key: Figure | "name" | "status"; down: boolean } | null = null;

  constructor(private readonly data: Comparison) {
    const list = () => {
      this.rows.rewind();
      this.list();
    };
    this.tools = new Tools("function", "name, /regex/", list, list);
    const views = new Choice<View>("Compare", VIEWS, this.view, (view) => {
      this.view = view;
      list();
    });
    this.root = el(
      "div",
      { class: "table" },
      el("div", { class: "tools" }, views.root),
      this.head,
      this.tools.root,
      this.rows.root,
    );
    this.list();
  }

  /** Which traces, and the parts of RSS or of what was touched: their changes add up. */
  private books({ whole, parts }: Compared): HTMLElement {
    const { base } = this.data;
    const names = base
      .slice(0, MOST_NAMES)
      .map((name) => label(name))
      .join(", ");
    const more = base.length > MOST_NAMES ? ` and ${count(base.length - MOST_NAMES)} more` : "";
    const changed = parts.filter(([, before, now]) => now !== before);
    const terms = changed.map(([name, before, now]) => `${label(name.replace("_", " "))} ${change(now - before)}`);
    const what = this.view === "touched" ? "touched" : "RSS";
    const sum = `${what} ${size(whole[0])} \u2192 ${size(whole[1])}: ${change(whole[1] - whole[0])}`;
    return el("p", {
      class: "caption",
      text: `from ${names}${more}. ${sum}${terms.length ? ` = ${terms.join(", ")}` : ""}`,
    });
  }

  private list(): void {
    const compared = this.data.views[this.view];
    const notes = compared.notes.map((note) => el("p", { class: "note", text: label(note, 1000) }));
    this.head.replaceChildren(this.books(compared), ...notes);
    const all = compared.rows[this.tools.grouping].map(([name, place, status, base, now, spread]) => ({
      ...{ name: label(name), place: label(place), status, base, now, spread },
      change: now - base,
    }));
    const hidden = compared.left_out[this.tools.grouping];
    let shown = this.tools.chosen(all, hidden ? `, ${count(hidden)} smaller changes left out` : "");
    if (this.sort) {
      const { key, down } = this.sort;
      shown = [...shown].sort((a, b) => (down ? -1 : 1) * (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0));
    }
    this.rows.show(columns(QUANTITIES[this.view]), shown, this.sort ?? undefined);
  }

  private sortBy(key: Figure | "name" | "status"): void {
    const figure = key !== "name" && key !== "status";
    this.sort = { key, down: this.sort?.key === key ? !this.sort.down : figure };
    this.rows.rewind();
    this.list();
  }
}

function columns(quantity: string): Column<Row>[] {
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
    figure("change", "change", `${quantity}: this trace less the other`, change),
    figure("base", "base", `${quantity} of the other trace (of several the median)`, size),
    figure("now", "now", `${quantity} of this trace`, size),
    figure("spread", "\u00b1", "by how much the runs of the other side differ among themselves", size),
  ];
}
