/**
 * Where the cells of a flame graph stand. Only cells that can be seen are made, from the root down, so the work is
 * bounded by what is on the screen: also of the inverted graph, whose tree is never built as a whole.
 */
import type { Frames, Values } from "./data.ts";

export interface Cell {
  /** -1: the root, "all". */
  frame: number;
  depth: number;
  x: number; // of the width 1
  w: number;
  value: number;
  self: number; // inverted: what the functions at the top of these stacks have, which is the value
  net: number;
  parent: Cell | null;
  children: Cell[];
  members: Members;
}

/** Of an inverted graph: the nodes whose bytes these are, and how far up their stack this cell is; else one node. */
interface Members {
  node: number[];
  at: number[];
}

export interface Layout {
  cells: Cell[];
  /** The cell that was zoomed to, or the root. */
  focus: Cell;
  depth: number;
}

export interface View {
  inverted: boolean;
  /** Frames from below the root to the cell that fills the width. */
  zoom: number[];
  /** Cells narrower than this (of the width 1) are left out. */
  narrowest: number;
}

export function layout(frames: Frames, values: Values, view: View): Layout {
  const expand = view.inverted ? callers(frames, values) : callees(values);
  const root = top(values, view.inverted);
  const cells = [root];
  let focus = root;
  for (const frame of view.zoom) {
    const next = expand(focus).find((cell) => cell.frame === frame);
    if (!next) break; // not there at this moment
    next.x = 0;
    next.w = 1;
    focus.children = [next];
    cells.push((focus = next));
  }
  let depth = focus.depth;
  for (let i = cells.length - 1; i < cells.length; i++) {
    const cell = cells[i];
    if (cell.w < view.narrowest) continue;
    place(cell, expand(cell));
    for (const child of cell.children) {
      if (child.w < view.narrowest) continue;
      cells.push(child);
      depth = Math.max(depth, child.depth);
    }
    cell.children = cell.children.filter((child) => child.w >= view.narrowest);
  }
  return { cells, focus, depth };
}

function top(values: Values, inverted: boolean): Cell {
  const { tree, self, total, net } = values;
  const node: number[] = [];
  for (let n = 0; inverted && n < tree.size; n++) if (self[n] > 0) node.push(n);
  return {
    ...{ frame: -1, depth: 0, x: 0, w: 1, parent: null, children: [] },
    value: tree.size ? total[0] : 0,
    self: tree.size && !inverted ? self[0] : 0,
    net: net ? net.reduce((a, b) => a + b, 0) : 0,
    members: inverted ? { node, at: [] } : { node: [0], at: [] },
  };
}

function place(cell: Cell, children: Cell[]): void {
  const sum = children.reduce((total, child) => total + child.value, 0);
  const scale = sum ? cell.w / Math.max(cell.value, sum) : 0;
  let x = cell.x;
  for (const child of children) {
    child.x = x;
    child.w = child.value * scale;
    x += child.w;
  }
  cell.children = children;
}

function below(parent: Cell, frame: number, value: number, self: number, net: number, members: Members): Cell {
  return { frame, depth: parent.depth + 1, x: 0, w: 0, value, self, net, parent, children: [], members };
}

function callees({ tree, self, total, net }: Values): (cell: Cell) => Cell[] {
  const nets = net && tree.totals(net);
  return (cell) => {
    const found: Cell[] = [];
    const node = cell.members.node[0];
    if (node >= tree.size) return found;
    for (let child = node + 1; child < tree.end[node]; child = tree.end[child]) {
      if (total[child] <= 0) continue;
      found.push(
        below(cell, tree.frame[child], total[child], self[child], nets ? nets[child] : 0, { node: [child], at: [] }),
      );
    }
    return found;
  };
}

function callers(frames: Frames, { tree, self, net }: Values): (cell: Cell) => Cell[] {
  // Where a frame's cell stands among those found; an array, since a map would be asked a million times.
  const slot = new Int32Array(frames.size).fill(-1);
  return (cell) => {
    const { node, at } = cell.members;
    const found: Cell[] = [];
    for (let i = 0; i < node.length; i++) {
      const leaf = node[i];
      const up = cell.frame < 0 ? leaf : tree.parent[at[i]];
      if (up < 0 || (up === 0 && leaf !== 0)) continue; // the outermost frame
      const frame = tree.frame[up];
      if (slot[frame] < 0) slot[frame] = found.push(below(cell, frame, 0, 0, 0, { node: [], at: [] })) - 1;
      const into = found[slot[frame]];
      into.value += self[leaf];
      into.self += self[leaf];
      if (net) into.net += net[leaf];
      into.members.node.push(leaf);
      into.members.at.push(up);
    }
    for (const { frame } of found) slot[frame] = -1;
    return found.sort((a, b) => b.value - a.value || a.frame - b.frame);
  };
}
