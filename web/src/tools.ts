/** What stands above a table: by what its rows are, a filter, and how many rows there are. */
import { pattern, type Grouping } from "./data.ts";
import { Choice, el } from "./dom.ts";
import { count } from "./units.ts";

const GROUPINGS: [Grouping, string][] = [
  ["line", "Line"],
  ["function", "Function"],
  ["module", "Module"],
  ["thread", "Thread"],
];

export class Tools {
  readonly root: HTMLElement;
  private readonly filter: HTMLInputElement;
  private readonly found = el("output", { class: "found" });

  constructor(
    public grouping: Grouping,
    placeholder: string,
    regrouped: () => void,
    filtered: () => void,
  ) {
    this.filter = el("input", { type: "search", placeholder, spellcheck: "false", on: { input: filtered } });
    const choice = new Choice<Grouping>("By", GROUPINGS, grouping, (chosen) => {
      this.grouping = chosen;
      regrouped();
    });
    const label = el("label", { class: "search" }, el("span", { class: "visually-hidden", text: "Filter rows" }));
    label.append(this.filter);
    this.root = el("div", { class: "tools" }, choice.root, label, this.found);
  }

  /** The rows that the filter lets through, and says how many these are; `more` is said too. */
  chosen<Row extends { name: string; place: string }>(rows: Row[], more = ""): Row[] {
    const query = this.filter.value.trim();
    try {
      const wanted = pattern(query);
      const shown = query ? rows.filter((row) => wanted.test(`${row.name}\n${row.place}`)) : rows;
      this.found.textContent = `${count(shown.length)} ${shown.length === 1 ? "row" : "rows"}${more}`;
      return shown;
    } catch {
      this.found.textContent = "not a regular expression";
      return rows;
    }
  }
}
