/** Elements are made here and nowhere else: text becomes text nodes, so no string of a trace is ever read as markup. */

type Props = { class?: string; text?: string; on?: Record<string, (event: never) => void> } & Record<string, unknown>;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: (Node | string | null)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value as string;
    else if (name === "text") node.textContent = value as string;
    else if (name === "on") for (const [type, run] of Object.entries(value as object)) node.addEventListener(type, run);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Choices of which one holds, as radio buttons: a group for the keyboard and for screen readers. */
export class Choice<T extends string> {
  readonly root: HTMLFieldSetElement;
  private readonly inputs = new Map<T, HTMLInputElement>();
  private static groups = 0;

  constructor(legend: string, options: [value: T, text: string][], chosen: T, choose: (value: T) => void) {
    const name = `choice-${Choice.groups++}`;
    this.root = el("fieldset", { class: "choice" }, el("legend", { text: legend }));
    for (const [value, text] of options) {
      const on = { change: () => choose(value) };
      const input = el("input", { type: "radio", name, value, checked: value === chosen, on });
      this.inputs.set(value, input);
      this.root.append(el("label", {}, input, el("span", { text })));
    }
  }

  set value(value: T) {
    const input = this.inputs.get(value);
    if (input) input.checked = true;
  }
}

/** The colour that a custom property of the style sheet has now. */
export function colour(name: string): string {
  const probe = el("span", { hidden: true });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export const isDark = (): boolean => document.documentElement.dataset.theme === "dark";

/** Hands a file to the browser to be saved. */
export function save(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
