/** A table of which only the rows in view exist: 20,000 rows cost no more than 50. All rows have one height. */
import { el } from "./dom.ts";

const ROW = 24;
const SPARE = 8;

export interface Column<Row> {
  key: string;
  title: string;
  help: string;
  /** Narrow screens leave out what is not needed. */
  wide?: boolean;
  text?: boolean;
  fill(cell: HTMLTableCellElement, row: Row): void;
}

export interface RowEvents<Row> {
  head?(key: string): void;
  open?(row: Row): void;
}

export class Rows<Row> {
  readonly root: HTMLElement;
  private readonly head = el("tr", { "aria-rowindex": 1 });
  private readonly body = el("tbody");
  private readonly table: HTMLTableElement;
  private rows: Row[] = [];
  private columns: Column<Row>[] = [];
  private drawn = "";
  // What the browser would have to lay the page out for, if it were asked at each draw.
  private top = 0;
  private height = 0;
  /** The row that was chosen; -1: none yet. */
  private current = -1;

  constructor(
    private readonly name: string,
    private readonly events: RowEvents<Row>,
  ) {
    const keydown = (event: KeyboardEvent) => this.key(event);
    this.table = el(
      "table",
      { role: "grid", tabindex: 0, "aria-label": name, on: { keydown } },
      el("thead", {}, this.head),
      this.body,
    );
    const measure = () => {
      [this.top, this.height] = [this.root.scrollTop, this.root.clientHeight];
      this.draw();
    };
    this.root = el("div", { class: "rows", on: { scroll: measure } }, this.table);
    new ResizeObserver(measure).observe(this.root);
  }

  show(columns: Column<Row>[], rows: Row[], sorted?: { key: string; down: boolean }): void {
    this.columns = columns;
    this.rows = rows;
    this.table.setAttribute("aria-rowcount", String(rows.length + 1));
    this.current = Math.min(this.current, rows.length - 1);
    this.heads(sorted);
    this.draw(true);
  }

  /** Brings a row into the middle and marks it. */
  reveal(row: number): void {
    this.current = row;
    this.scroll(row * ROW - this.root.clientHeight / 2 + ROW);
  }

  /** To the top, no row chosen. */
  rewind(): void {
    this.current = -1;
    this.scroll(0);
  }

  private heads(sorted?: { key: string; down: boolean }): void {
    // A head that has the focus keeps it: its element stays.
    if (
      this.head.childElementCount !== this.columns.length ||
      this.columns.some((c, i) => this.head.cells[i].dataset.key !== c.key)
    ) {
      this.head.replaceChildren(...this.columns.map((column) => this.headOf(column)));
    }
    this.columns.forEach(({ key, title }, i) => {
      const cell = this.head.cells[i];
      const here = sorted?.key === key;
      cell.setAttribute("aria-sort", here ? (sorted.down ? "descending" : "ascending") : "none");
      cell.firstElementChild!.textContent = here ? `${title} ${sorted.down ? "\u25be" : "\u25b4"}` : title;
    });
  }

  private headOf(column: Column<Row>): HTMLTableCellElement {
    const { head } = this.events;
    const content = head
      ? el("button", { type: "button", title: column.help, on: { click: () => head(column.key) } })
      : el("span", { title: column.help });
    return el("th", { scope: "col", class: classOf(column), "data-key": column.key }, content);
  }

  private draw(anew = false): void {
    const { rows, top, height } = this;
    const from = Math.max(0, Math.min(rows.length - 1, Math.floor(top / ROW) - SPARE));
    const to = Math.min(rows.length, Math.ceil((top + height) / ROW) + SPARE);
    const range = `${from} ${to}`;
    if (!anew && range === this.drawn) return;
    this.drawn = range;
    const made = [];
    for (let i = from; i < to; i++) made.push(this.row(i));
    this.body.replaceChildren(spacer(from), ...made, spacer(rows.length - to));
    if (this.current >= 0) this.table.setAttribute("aria-activedescendant", this.id(this.current));
    else this.table.removeAttribute("aria-activedescendant");
  }

  private id(row: number): string {
    return `${this.name.replace(/\W/g, "-")}-${row}`;
  }

  private row(i: number): HTMLTableRowElement {
    const row = this.rows[i];
    const here = i === this.current;
    const on = {
      click: () => {
        this.current = i;
        this.draw(true);
        this.events.open?.(row);
      },
    };
    const line = el("tr", {
      id: this.id(i),
      "aria-rowindex": i + 2,
      "aria-selected": here,
      class: here ? "current" : "",
      on,
    });
    for (const column of this.columns) {
      const cell = el("td", { class: classOf(column) });
      column.fill(cell, row);
      line.append(cell);
    }
    return line;
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.table) return;
    const page = Math.max(1, Math.floor(this.root.clientHeight / ROW) - 2);
    const last = this.rows.length - 1;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -last, End: last }[event.key];
    if (step !== undefined) this.move(Math.max(0, Math.min(last, this.current + step)));
    else if (event.key === "Enter" && this.rows[this.current]) this.events.open?.(this.rows[this.current]);
    else return;
    event.preventDefault();
  }

  private move(row: number): void {
    this.current = row;
    const top = row * ROW;
    // The head covers one row and more of what scrolls below it.
    this.scroll(Math.max(top + 3 * ROW - this.height, Math.min(top, this.top)));
  }

  private scroll(top: number): void {
    this.root.scrollTop = top;
    this.top = this.root.scrollTop;
    this.draw(true);
  }
}

function classOf(column: { text?: boolean; wide?: boolean }): string {
  return `${column.text ? "text" : "figure"}${column.wide ? " wide" : ""}`;
}

function spacer(rows: number): HTMLTableRowElement {
  const row = el("tr", { "aria-hidden": "true", class: "spacer" }, el("td"));
  row.style.height = `${rows * ROW}px`;
  return row;
}

/** A number with a bar behind it that says how much of the most it is. */
export function bar(cell: HTMLElement, text: string, part: number, most: number): void {
  cell.textContent = text;
  if (most > 0 && part > 0) cell.style.setProperty("--bar", `${((100 * part) / most).toFixed(1)}%`);
}
