/** The sums of the page against sums done here the long way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  focus,
  Frames,
  groupings,
  matched,
  pattern,
  Process,
  processesOverTime,
  search,
  widestGap,
  type Grouping,
  type RawProcess,
} from "../src/data.ts";
import { layout } from "../src/layout.ts";
import { clean, duration, exactly, kib, label, size } from "../src/units.ts";
import { trace } from "./synthetic.ts";

const data = trace({ owners: 60, nodes: 300, moments: 40, changes: 3000, events: true });
const raw = data.processes[0];
const frames = new Frames(data.frames);
const groups = groupings(frames);
const process = new Process(raw, frames);

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

/** Bytes of each node, numbered as in the data. */
function slow(column: "resident" | "touched", after: number, until: number, thread = -1): number[] {
  const sums = raw.parent.map(() => 0);
  raw.changes.node.forEach((node, i) => {
    const moment = raw.changes.moment[i];
    if (moment > after && moment <= until && (thread < 0 || thread === raw.changes.thread[i]))
      sums[node] += raw.changes[column][i];
  });
  return sums;
}

/** The same of what was released: a node of a thread of which more was found than told has released nothing. */
function slowlyReleased(after: number, until: number, thread: number): number[] {
  const [touched, resident] = [slow("touched", after, until, thread), slow("resident", after, until, thread)];
  return touched.map((bytes, node) => Math.max(0, bytes - resident[node]));
}

const THREADS = raw.threads.map((_, thread) => thread);

function stack(node: number): number[] {
  const nodes = [];
  for (let at = node; at >= 0; at = raw.parent[at]) nodes.push(at);
  return nodes;
}

function key(grouping: Exclude<Grouping, "thread">, node: number): string {
  const [file, line, name, module] = raw.frame[node] < 0 ? ["", 0, "", ""] : data.frames[raw.frame[node]];
  return { line: `${file} ${line} ${name}`, function: `${file} ${name}`, module: `${module}` }[grouping];
}

test("resident, touched and released of each node at moments and in spans, by thread too", () => {
  for (const thread of [-1, 0, 2]) {
    for (const [after, until] of [
      [-1, 39],
      [-1, 0],
      [4, 17],
      [38, 39],
    ]) {
      const inOrder = (column: Float64Array) => raw.parent.map((_, old) => column[process.tree.number[old]]);
      const span = { after, until };
      const released = (thread < 0 ? THREADS : [thread]).map((each) => slowlyReleased(after, until, each));
      assert.deepEqual(inOrder(process.residentAt(until, thread)), slow("resident", -1, until, thread));
      assert.deepEqual(inOrder(process.touchedIn(span, thread)), slow("touched", after, until, thread));
      assert.deepEqual(
        inOrder(process.releasedIn(span, thread)),
        raw.parent.map((_, node) => sum(released.map((of) => of[node]))),
      );
    }
  }
});

test("the books close at each moment: owned and parts are RSS", () => {
  raw.times.forEach((_, moment) => {
    const owned = sum(process.residentAt(moment));
    assert.equal(owned + sum(Object.values(raw.parts).map((part) => part[moment])), raw.rss[moment]);
  });
});

test("self and total of groups: what calls itself counts once", () => {
  const resident = slow("resident", -1, 20);
  const { values } = focus(process, "resident", 20, process.all, -1);
  for (const grouping of ["line", "function", "module"] as const) {
    const expected = new Map<string, { self: number; total: number }>();
    resident.forEach((bytes, node) => {
      const own = key(grouping, node);
      for (const owner of new Set(stack(node).map((at) => key(grouping, at)))) {
        const known = expected.get(owner) ?? { self: 0, total: 0 };
        expected.set(owner, { self: known.self + (owner === own ? bytes : 0), total: known.total + bytes });
      }
    });
    const sums = process.groupSums(process.tree, groups[grouping], values.self, values.total);
    const found = groups[grouping].frame.map((frame, i) => {
      const node = raw.frame.findIndex((at) => frames.at(at) === frame);
      return node < 0 ? null : [key(grouping, node), { self: sums.self[i], total: sums.total[i] }];
    });
    for (const entry of found) if (entry) assert.deepEqual(entry[1], expected.get(entry[0] as string));
  }
});

test("threads add up to the process, also where more was found than was told of", () => {
  const span = { after: 3, until: 30 };
  const [touched, resident] = [slow("touched", 3, 30, 1), slow("resident", 3, 30, 1)];
  assert.ok(touched.some((bytes, node) => bytes < resident[node]));
  const sums = process.threadSums(30, span);
  assert.equal(sum(sums.resident), sum(process.residentAt(30)));
  assert.equal(sum(sums.touched), sum(process.touchedIn(span)));
  assert.equal(sum(sums.released), sum(process.releasedIn(span)));
  assert.deepEqual(
    [...sums.released],
    THREADS.map((thread) => sum(slowlyReleased(3, 30, thread))),
  );
});

test("processes over time: as read last, nothing where they do not live, the rest is one", () => {
  const made = (pid: number, times: number[], rss: (number | null)[]): RawProcess => ({ ...raw, pid, times, rss });
  const shown = made(1, [1, 2, 3, 4, 5], [10, 10, null, 10, 10]);
  const all = [shown, made(2, [2, 3.5], [7, 8]), made(3, [0, 9], [2, 1]), made(4, [], []), made(5, [4, 5], [4, 5])];
  const found = processesOverTime(shown, all, 2);
  assert.deepEqual(found.owners, [0, 1]);
  assert.deepEqual(
    found.bytes.map((bytes) => [...bytes]),
    [
      [10, 10, 0, 10, 10],
      [0, 7, 7, 0, 0],
    ],
  );
  assert.deepEqual([[...found.rest], found.others], [[2, 2, 2, 6, 7], 2]);
});

test("how far apart moments are", () => {
  assert.deepEqual([[], [3], [1, 2, 4.5, 5]].map(widestGap), [0, 0, 2.5]);
});

test("owners over time: the highest are ranked, the rest is one, together they are what is owned", () => {
  const found = process.ownersOverTime(groups.function, 5);
  assert.equal(found.owners.length, 5);
  const highest = found.bytes.map((bytes) => Math.max(...bytes));
  assert.deepEqual(
    highest,
    [...highest].sort((a, b) => b - a),
  );
  raw.times.forEach((_, moment) => {
    const together = sum(found.bytes.map((bytes) => bytes[moment])) + found.rest[moment];
    assert.equal(together, sum(process.residentAt(moment)));
  });
  const threads = process.ownersOverTime(null, 12);
  assert.deepEqual([threads.owners.length, threads.others], [3, 0]);
});

test("the graph and the inverted graph have the same sums", () => {
  for (const mode of ["resident", "touched", "time"] as const) {
    const { values } = focus(process, mode, 20, process.all, -1);
    const view = { zoom: [], narrowest: 0 };
    const [plain, inverted] = [false, true].map((turned) => layout(frames, values, { ...view, inverted: turned }));
    assert.equal(plain.cells[0].value, values.total[0]);
    assert.equal(inverted.cells[0].value, values.total[0]);
    const own = new Map<number, number>();
    for (const cell of plain.cells) if (cell.self) own.set(cell.frame, (own.get(cell.frame) ?? 0) + cell.self);
    const none = frames.size - 1; // the root's own bytes have no frame
    own.set(none, (own.get(none) ?? 0) + (own.get(-1) ?? 0));
    own.delete(-1);
    const tops = new Map(inverted.cells.filter((cell) => cell.depth === 1).map((cell) => [cell.frame, cell.value]));
    for (const [frame, value] of own) assert.equal(tops.get(frame) ?? 0, value);
    assert.equal(sum(tops.values()), values.total[0]);
  }
});

test("cells lie within their parents, side by side", () => {
  const { values } = focus(process, "touched", 20, process.all, -1);
  const { cells } = layout(frames, values, { inverted: true, zoom: [], narrowest: 1e-4 });
  for (const cell of cells) {
    let x = cell.x;
    for (const child of cell.children) {
      assert.ok(child.x >= x - 1e-9 && child.x + child.w <= cell.x + cell.w + 1e-9);
      x = child.x + child.w;
    }
  }
});

test("a zoom fills the width, and stops where a frame is not there", () => {
  const { values } = focus(process, "touched", 20, process.all, -1);
  const first = layout(frames, values, { inverted: false, zoom: [], narrowest: 0 }).cells[1];
  const zoomed = layout(frames, values, { inverted: false, zoom: [first.frame], narrowest: 0 });
  assert.deepEqual([zoomed.focus.frame, zoomed.focus.w, zoomed.focus.value], [first.frame, 1, first.value]);
  assert.equal(
    layout(frames, values, { inverted: false, zoom: [first.frame, 1e6], narrowest: 0 }).focus.frame,
    first.frame,
  );
});

test("a change of RSS: growth and release of the whole are the width, their difference the change", () => {
  const { values } = focus(process, "change", 0, process.all, -1);
  const [growth, release] = [raw.calls!.growth[0], raw.calls!.release[0]];
  assert.equal(values.total[0], growth + release);
  assert.equal(sum(values.net!), growth - release);
  const { cells } = layout(frames, values, { inverted: true, zoom: [], narrowest: 0 });
  assert.equal(sum(cells.filter((cell) => cell.depth === 1).map((cell) => cell.net)), growth - release);
});

test("a search by file and line finds that line only; a match below a match counts once", () => {
  const place = frames.place[frames.line.indexOf(1)];
  const matches = search(frames, pattern(place));
  matches.forEach((match, i) => assert.equal(match === 1, frames.place[i] === place));
  const { values } = focus(process, "touched", 0, process.all, -1);
  const expected = slow("touched", -1, 39).reduce(
    (all, bytes, node) => all + (stack(node).some((at) => matches[frames.at(raw.frame[at])]) ? bytes : 0),
    0,
  );
  assert.equal(matched(values, matches).total, expected);
  assert.equal(matched(values, search(frames, pattern("/^/"))).total, values.total[0]);
  assert.throws(() => pattern("/(/"));
});

test("a process without samples or stacks", () => {
  const none = { node: [], thread: [], moment: [], resident: [], touched: [] };
  const empty: RawProcess = { ...raw, times: [], rss: [], peak: 0, parent: [], frame: [], changes: none, calls: null };
  const bare = new Process(empty, frames);
  const { values } = focus(bare, "resident", 0, bare.all, -1);
  assert.equal(layout(frames, values, { inverted: true, zoom: [], narrowest: 0 }).cells.length, 1);
});

test("numbers and names for people", () => {
  assert.deepEqual([0, 1023, 4096, -1536, 1023.96 * 1024, 2 ** 31].map(size), [
    "0 B",
    "1023 B",
    "4.0 KiB",
    "\u22121.5 KiB",
    "1.0 MiB",
    "2.0 GiB",
  ]);
  assert.deepEqual([0, 420, 85e4, 12.3e6, 4.56e9, 123e9, 3720e9].map(duration), [
    "0 s",
    "420 ns",
    "850 us",
    "12.3 ms",
    "4.56 s",
    "2 min 03 s",
    "1 h 02 min",
  ]);
  assert.equal(clean("a\u0000\u202e\u2028\ud800b\tc"), "a\\u{0}\\u{202e}\\u{2028}\\u{d800}b    c");
  assert.equal(label("x".repeat(1e6), 10).length, 11);
});

test("exact sizes are whole KiB, or else bytes", () => {
  assert.deepEqual([0, 249_823_232, -12_288, 1025].map(kib), ["0 KiB", "243,968 KiB", "\u221212 KiB", "1,025 B"]);
  assert.equal(exactly(249_823_232), "238.2 MiB (243,968 KiB)");
});

test("sizes are rounded and written as the reports of the command line do it", () => {
  const kib = [0, 4, 1012, 1024, 243_968, 243_981, 1_048_525];
  const shown = ["0 B", "4.0 KiB", "1,012.0 KiB", "1.0 MiB", "238.2 MiB", "238.3 MiB", "1.0 GiB"];
  assert.deepEqual(
    kib.map((each) => size(each * 1024)),
    shown,
  );
});
