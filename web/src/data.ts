/**
 * The trace as the page has it, and the sums that the views show. Pure functions over typed arrays: no DOM.
 *
 * A sum over all changes of a large trace (200,000) takes about a millisecond, so nothing is kept per moment.
 */
import type { Comparison } from "./comparison.ts";
import { label } from "./units.ts";

/**
 * What Python writes into the page, as JSON in which <, >, & and the line separators of JavaScript are escapes. Sizes
 * are bytes, times seconds since the start of the trace where nothing else is said. Nothing of it is trusted.
 */
export interface Trace {
  schema: number;
  title: string;
  generator: string;
  header: [label: string, text: string][];
  /** The closing line of the peak, and how its owners were found. */
  closing: string[];
  /** line 0: not known. */
  frames: [file: string, line: number, name: string, module: string][];
  processes: RawProcess[];
  /** By the file of frames; `first` is the number of the first of the lines. */
  sources: Record<string, { first: number; lines: string[] }>;
  /** With other traces; null: with none. */
  comparison: Comparison | null;
}

/** Of RSS: what no stack owns. */
export const PARTS = ["before_start", "file", "shared", "kernel", "tracer", "unexplained"] as const;
export type Part = (typeof PARTS)[number];

export interface RawProcess {
  pid: number;
  name: string;
  command: string;
  traced: boolean;
  engine: string;
  end: string;
  note: string | null;
  /** The moments, increasing; the columns that follow have a value for each. */
  times: number[];
  rss: (number | null)[];
  /** With what stacks own they add up to RSS; unexplained may be negative. */
  parts: Record<Part, number[]>;
  /** Of the cgroup. */
  limit: (number | null)[];
  usage: (number | null)[];
  /** The moment of the highest RSS. */
  peak: number;
  threads: [tid: number, name: string][];
  /** The call tree: node 0 is the root (parent -1), parents stand before children; frame -1: no Python frame. */
  parent: number[];
  frame: number[];
  /**
   * In the order of moments. In the step that ends at the moment: by how much what the node itself holds through the
   * thread changed, and how much was touched. What the node holds at a moment is the sum of its changes until then.
   */
  changes: { node: number[]; thread: number[]; moment: number[]; resident: number[]; touched: number[] };
  marks: [seconds: number, text: string][];
  snapshots: [seconds: number, name: string, kind: string][];
  calls: RawCalls | null;
  lines: Record<string, LineEvents[]> | null;
}

/** The exact call tree of the event log; each value is with all that was called. */
export interface RawCalls {
  parent: number[];
  frame: number[];
  count: number[];
  time_ns: number[];
  growth: number[];
  release: number[];
}

type LineEvents = [line: number, hits: number, time_ns: number, growth: number, release: number];

export const NO_FRAME = "(no Python frame)";

/** Frames with the names that are shown. Frame -1, code without a Python frame, stands behind the last one. */
export class Frames {
  readonly size: number;
  readonly file: string[];
  readonly line: number[];
  readonly name: string[];
  readonly module: string[];
  readonly path: string[];
  readonly place: string[];

  constructor(rows: Trace["frames"]) {
    const all: Trace["frames"] = [...rows, ["", 0, NO_FRAME, NO_FRAME]];
    this.size = all.length;
    this.file = all.map((row) => row[0]);
    this.line = all.map((row) => row[1]);
    this.name = all.map((row) => label(row[2]));
    this.module = all.map((row) => label(row[3]));
    this.path = all.map((row) => label(row[0]));
    this.place = all.map((row, i) => (row[1] ? `${this.path[i]}:${row[1]}` : this.path[i]));
  }

  /** The index of what the data call `frame`. */
  at(frame: number): number {
    return frame < 0 ? this.size - 1 : frame;
  }
}

export type Grouping = "line" | "function" | "module" | "thread";

/** Who owns: each frame's group, and a frame that stands for the group. */
export interface Groups {
  of: Int32Array;
  frame: number[];
}

function group(frames: Frames, key: (frame: number) => string): Groups {
  const numbers = new Map<string, number>();
  const first: number[] = [];
  const of = Int32Array.from({ length: frames.size }, (_, frame) => {
    const text = key(frame);
    let number = numbers.get(text);
    if (number === undefined) {
      number = first.push(frame) - 1;
      numbers.set(text, number);
    }
    return number;
  });
  return { of, frame: first };
}

/** Groups of frames by each thing that can own but a thread; `place` is file and line, whatever the function. */
export function groupings(frames: Frames): Record<Exclude<Grouping, "thread"> | "place", Groups> {
  const place = (frame: number) => `${frames.line[frame]}\0${frames.file[frame]}`;
  return {
    place: group(frames, place),
    line: group(frames, (frame) => `${place(frame)}\0${frames.name[frame]}`),
    function: group(frames, (frame) => `${frames.file[frame]}\0${frames.name[frame]}`),
    module: group(frames, (frame) => frames.module[frame]),
  };
}

/** A call tree, depth first, heavy children first: the nodes below n are n + 1 ... end[n] - 1. */
export class Tree {
  readonly size: number;
  readonly parent: Int32Array;
  readonly frame: Int32Array;
  readonly depth: Int32Array;
  readonly end: Int32Array;
  /** By the node's number in the data. */
  readonly number: Int32Array;

  /** `weight`: of each node with all below it; orders children, once, so that they keep their places. */
  constructor(frames: Frames, parent: number[], frame: number[], weight: Float64Array) {
    this.size = parent.length;
    this.number = depthFirst(parent, weight);
    this.parent = new Int32Array(this.size);
    this.frame = new Int32Array(this.size);
    this.depth = new Int32Array(this.size);
    this.end = new Int32Array(this.size);
    for (let old = 0; old < this.size; old++) {
      const node = this.number[old];
      this.frame[node] = frames.at(frame[old]);
      this.parent[node] = parent[old] < 0 ? -1 : this.number[parent[old]];
    }
    for (let node = 0; node < this.size; node++) {
      if (this.parent[node] >= 0) this.depth[node] = this.depth[this.parent[node]] + 1;
    }
    for (let node = this.size - 1; node >= 0; node--) {
      if (this.end[node] === 0) this.end[node] = node + 1;
      const above = this.parent[node];
      if (above >= 0 && this.end[above] < this.end[node]) this.end[above] = this.end[node];
    }
  }

  /** Sums over each node and all below it. */
  totals(self: Float64Array): Float64Array {
    const total = self.slice();
    for (let node = this.size - 1; node > 0; node--) total[this.parent[node]] += total[node];
    return total;
  }

  /** What is left of sums when those of the children are taken off. */
  selves(total: Float64Array): Float64Array {
    const self = total.slice();
    for (let node = 1; node < this.size; node++) self[this.parent[node]] -= total[node];
    return self;
  }

  /** Numbers in the order of the data, in the order of the tree. */
  sorted(column: number[]): Float64Array {
    const out = new Float64Array(this.size);
    for (let old = 0; old < this.size; old++) out[this.number[old]] = column[old];
    return out;
  }

  /** Which nodes have no node of the same group above them: what counts for the group's total. */
  outermost(groups: Groups): Uint8Array {
    const open = new Int32Array(groups.frame.length);
    const flags = new Uint8Array(this.size);
    const stack: number[] = [];
    for (let node = 0; node < this.size; node++) {
      while (stack.length > this.depth[node]) open[stack.pop()!]--;
      const owner = groups.of[this.frame[node]];
      if (open[owner]++ === 0) flags[node] = 1;
      stack.push(owner);
    }
    return flags;
  }
}

function depthFirst(parent: number[], weight: Float64Array): Int32Array {
  const size = parent.length;
  const children: number[][] = Array.from({ length: size }, () => []);
  for (let node = 1; node < size; node++) children[parent[node]].push(node);
  const number = new Int32Array(size);
  const stack = size ? [0] : [];
  for (let next = 0; stack.length; next++) {
    const node = stack.pop()!;
    number[node] = next;
    stack.push(...children[node].sort((a, b) => weight[a] - weight[b] || b - a));
  }
  return number;
}

/** The steps that end after moment `after` and not after moment `until`. */
export interface Span {
  after: number;
  until: number;
}

export interface Calls {
  tree: Tree;
  count: Float64Array;
  time: Float64Array;
  growth: Float64Array;
  release: Float64Array;
}

export class Process {
  readonly tree: Tree;
  readonly calls: Calls | null;
  readonly moments: number;
  /** The first change of each moment; one more at the end. */
  private readonly first: Int32Array;
  private readonly node: Int32Array;
  private readonly thread: Int32Array;
  private readonly resident: Float64Array;
  private readonly touched: Float64Array;
  /** Who is meant by each change, a node through a thread, as a number; and of each number the node and the thread. */
  private readonly owner: Int32Array;
  private readonly owners: { node: Int32Array; thread: Int32Array };
  private readonly flags = new Map<Groups, Uint8Array>();

  constructor(
    readonly raw: RawProcess,
    readonly frames: Frames,
  ) {
    const { changes, parent, frame } = raw;
    const weight = new Float64Array(parent.length);
    for (let i = 0; i < changes.node.length; i++) weight[changes.node[i]] += changes.touched[i];
    for (let node = parent.length - 1; node > 0; node--) weight[parent[node]] += weight[node];
    this.tree = new Tree(frames, parent, frame, weight);
    this.calls = raw.calls && exactCalls(frames, raw.calls);
    this.moments = raw.times.length;
    this.node = Int32Array.from(changes.node, (node) => this.tree.number[node]);
    this.thread = Int32Array.from(changes.thread);
    this.resident = Float64Array.from(changes.resident);
    this.touched = Float64Array.from(changes.touched);
    [this.owner, this.owners] = numbered(this.node, this.thread, raw.threads.length);
    this.first = new Int32Array(this.moments + 1);
    for (const moment of changes.moment) this.first[moment + 1]++;
    for (let moment = 0; moment < this.moments; moment++) this.first[moment + 1] += this.first[moment];
  }

  get all(): Span {
    return { after: -1, until: this.moments - 1 };
  }

  /** Bytes that each node itself holds at a moment. thread -1: of all threads. */
  residentAt(moment: number, thread = -1): Float64Array {
    return this.add(this.resident, { after: -1, until: moment }, thread);
  }

  touchedIn(span: Span, thread = -1): Float64Array {
    return this.add(this.touched, span, thread);
  }

  releasedIn(span: Span, thread = -1): Float64Array {
    const sums = new Float64Array(this.tree.size);
    const released = this.released(span);
    for (let owner = 0; owner < released.length; owner++) {
      if (thread < 0 || this.owners.thread[owner] === thread) sums[this.owners.node[owner]] += released[owner];
    }
    return sums;
  }

  /**
   * What was there or came in, and is not there at the end of the span, of each node through each thread: so that sums
   * by thread and by line are the same. Where more is found than was told of (by the rise at another's fault) nothing
   * was released.
   */
  private released(span: Span): Float64Array {
    const sums = new Float64Array(this.owners.node.length);
    const stop = this.first[span.until + 1];
    for (let i = this.first[span.after + 1]; i < stop; i++) sums[this.owner[i]] += this.touched[i] - this.resident[i];
    for (let owner = 0; owner < sums.length; owner++) sums[owner] = Math.max(0, sums[owner]);
    return sums;
  }

  private add(column: Float64Array, span: Span, thread: number): Float64Array {
    const sums = new Float64Array(this.tree.size);
    const stop = this.first[span.until + 1];
    for (let i = this.first[span.after + 1]; i < stop; i++) {
      if (thread < 0 || this.thread[i] === thread) sums[this.node[i]] += column[i];
    }
    return sums;
  }

  /** Resident, touched and released bytes of each thread. */
  threadSums(moment: number, span: Span): { resident: Float64Array; touched: Float64Array; released: Float64Array } {
    const [resident, touched, released] = [0, 0, 0].map(() => new Float64Array(this.raw.threads.length));
    for (let i = 0; i < this.first[moment + 1]; i++) resident[this.thread[i]] += this.resident[i];
    for (let i = this.first[span.after + 1]; i < this.first[span.until + 1]; i++) {
      touched[this.thread[i]] += this.touched[i];
    }
    this.released(span).forEach((bytes, i) => (released[this.owners.thread[i]] += bytes));
    return { resident, touched, released };
  }

  /** Self and total of each group, of a tree of this process; a group that calls itself counts once. */
  groupSums(tree: Tree, groups: Groups, self: Float64Array, total: Float64Array) {
    const flags = this.outermost(tree, groups);
    const sums = { self: new Float64Array(groups.frame.length), total: new Float64Array(groups.frame.length) };
    for (let node = 0; node < tree.size; node++) {
      const owner = groups.of[tree.frame[node]];
      sums.self[owner] += self[node];
      if (flags[node]) sums.total[owner] += total[node];
    }
    return sums;
  }

  private outermost(tree: Tree, groups: Groups): Uint8Array {
    if (tree !== this.tree) return tree.outermost(groups);
    let flags = this.flags.get(groups);
    if (!flags) this.flags.set(groups, (flags = tree.outermost(groups)));
    return flags;
  }

  /**
   * What the owners hold over time: those that hold most at their highest each for itself, the others as one.
   * groups null: by thread.
   */
  ownersOverTime(groups: Groups | null, most: number): OwnersOverTime {
    const owners = groups ? groups.frame.length : this.raw.threads.length;
    const owner = (i: number) => (groups ? groups.of[this.tree.frame[this.node[i]]] : this.thread[i]);
    const now = new Float64Array(owners);
    const highest = new Float64Array(owners);
    for (let moment = 0; moment < this.moments; moment++) {
      const [from, to] = [this.first[moment], this.first[moment + 1]];
      for (let i = from; i < to; i++) now[owner(i)] += this.resident[i];
      for (let i = from; i < to; i++) {
        const o = owner(i);
        if (now[o] > highest[o]) highest[o] = now[o];
      }
    }
    const ranked = byHighest(highest);
    const top = ranked.slice(0, most);
    const slot = new Int32Array(owners).fill(top.length);
    top.forEach((o, i) => (slot[o] = i));
    const bytes = Array.from({ length: top.length + 1 }, () => new Float64Array(this.moments));
    const sums = new Float64Array(top.length + 1);
    for (let moment = 0; moment < this.moments; moment++) {
      for (let i = this.first[moment]; i < this.first[moment + 1]; i++) sums[slot[owner(i)]] += this.resident[i];
      sums.forEach((sum, i) => (bytes[i][moment] = sum));
    }
    return { owners: top, bytes: bytes.slice(0, -1), rest: bytes[top.length], others: ranked.length - top.length };
  }
}

export interface OwnersOverTime {
  owners: number[];
  bytes: Float64Array[];
  rest: Float64Array;
  others: number;
}

/** The number of each pair of a node and a thread, and the pairs by their numbers. */
function numbered(nodes: Int32Array, threads: Int32Array, count: number) {
  const numbers = new Map<number, number>();
  const of = nodes.map((node, i) => {
    const pair = node * count + threads[i];
    const number = numbers.get(pair) ?? numbers.size;
    if (number === numbers.size) numbers.set(pair, number);
    return number;
  });
  const pairs = [...numbers.keys()];
  const node = Int32Array.from(pairs, (pair) => Math.floor(pair / count));
  const thread = Int32Array.from(pairs, (pair) => pair % count);
  return [of, { node, thread }] as const;
}

function byHighest(highest: ArrayLike<number>): number[] {
  const owners = Array.from(highest, (_, owner) => owner).filter((owner) => highest[owner] > 0);
  return owners.sort((a, b) => highest[b] - highest[a] || a - b);
}

/** RSS of all processes at the moments of one of them: those with most each for itself, the others as one. */
export function processesOverTime(shown: RawProcess, all: RawProcess[], most: number): OwnersOverTime {
  const rss = all.map((process) => rssAt(process, shown.times));
  const ranked = byHighest(rss.map((bytes) => bytes.reduce((high, each) => Math.max(high, each), 0)));
  const rest = new Float64Array(shown.times.length);
  for (const process of ranked.slice(most)) rss[process].forEach((bytes, moment) => (rest[moment] += bytes));
  const owners = ranked.slice(0, most);
  return { owners, bytes: owners.map((process) => rss[process]), rest, others: ranked.length - owners.length };
}

/** RSS of a process as it was read last until each of these times; 0 where it did not live or its RSS is not known. */
function rssAt(process: RawProcess, times: number[]): Float64Array {
  const last = process.times.length - 1;
  let at = -1;
  return Float64Array.from(times, (time) => {
    while (at < last && process.times[at + 1] <= time) at++;
    return at >= 0 && time <= process.times[last] ? (process.rss[at] ?? 0) : 0;
  });
}

/** How far apart two moments of a process are at most, in seconds. */
export function widestGap(times: number[]): number {
  return times.reduce((widest, time, i) => Math.max(widest, i ? time - times[i - 1] : 0), 0);
}

function exactCalls(frames: Frames, raw: RawCalls): Calls {
  const tree = new Tree(frames, raw.parent, raw.frame, Float64Array.from(raw.time_ns));
  return {
    tree,
    count: tree.sorted(raw.count),
    time: tree.sorted(raw.time_ns),
    growth: tree.sorted(raw.growth),
    release: tree.sorted(raw.release),
  };
}

/** Bytes or nanoseconds that a flame graph and a table show of a tree. */
export interface Values {
  tree: Tree;
  self: Float64Array;
  total: Float64Array;
  /** Of a change of RSS, growth less release, of the node itself; self and total are their sum. */
  net: Float64Array | null;
}

/** What the frames that match hold, with all that they called; what is below a match counts once. */
export function matched(values: Values, matches: Uint8Array): { total: number; frames: number } {
  const { tree, total } = values;
  const found = new Set<number>();
  let [sum, end] = [0, 0];
  for (let node = 0; node < tree.size; node++) {
    if (!matches[tree.frame[node]] || total[node] <= 0) continue;
    found.add(tree.frame[node]);
    if (node < end) continue;
    sum += total[node];
    end = tree.end[node];
  }
  return { total: sum, frames: found.size };
}

const indexes = new WeakMap<LineEvents[], Map<number, LineEvents>>();

/** What the event log says of a file, by line. */
export function lineIndex(rows: LineEvents[]): Map<number, LineEvents> {
  let index = indexes.get(rows);
  if (!index) indexes.set(rows, (index = new Map(rows.map((row) => [row[0], row]))));
  return index;
}

/** A query as a pattern: words as they are ("data.py:4" is not data.py:42), or a regular expression in slashes. */
export function pattern(query: string): RegExp {
  const slashed = /^\/(.+)\/$/.exec(query);
  const words = query.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&") + (/:\d+$/.test(query) ? "(?!\\d)" : "");
  return new RegExp(slashed ? slashed[1] : words, "im"); // of a name, a place and a module, a line each
}

/** Which frames a pattern finds, by function, place or module. */
export function search(frames: Frames, wanted: RegExp): Uint8Array {
  return Uint8Array.from({ length: frames.size }, (_, frame) =>
    Number(wanted.test(`${frames.name[frame]}\n${frames.place[frame]}\n${frames.module[frame]}`)),
  );
}

export type Mode = "resident" | "touched" | "released" | "change" | "time";

/** Whether a mode is about the call tree of the event log, which is of all threads and of the whole run. */
export function isLogged(mode: Mode): boolean {
  return mode === "change" || mode === "time";
}

/** What everything below the timeline is about. */
export interface Focus {
  process: Process;
  mode: Mode;
  moment: number;
  span: Span;
  thread: number;
  /** Of each node of the process's tree, without what is below it. */
  resident: Float64Array;
  touched: Float64Array;
  released: Float64Array;
  /** What the mode says of its tree. */
  values: Values;
}

export function focus(process: Process, mode: Mode, moment: number, span: Span, thread: number): Focus {
  const resident = process.residentAt(moment, thread);
  const touched = process.touchedIn(span, thread);
  const released = process.releasedIn(span, thread);
  const { tree, calls } = process;
  let values: Values;
  if (calls && mode === "time")
    values = { tree: calls.tree, self: calls.tree.selves(calls.time), total: calls.time, net: null };
  else if (calls && mode === "change") values = changes(calls);
  else {
    const self = { resident, touched, released }[mode as "touched"] ?? resident;
    values = { tree, self, total: tree.totals(self), net: null };
  }
  return { process, mode, moment, span, thread, resident, touched, released, values };
}

function changes({ tree, growth, release }: Calls): Values {
  const moved = growth.map((bytes, node) => bytes + release[node]);
  const net = tree.selves(growth.map((bytes, node) => bytes - release[node]));
  return { tree, self: tree.selves(moved), total: moved, net };
}
