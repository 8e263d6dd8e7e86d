/** Made-up traces, the same each time, whose books close to the byte. */
import type { Compared, Comparison } from "../src/comparison.ts";
import { PARTS, type RawProcess, type Trace } from "../src/data.ts";

export const HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>";

export interface Wanted {
  owners: number;
  nodes: number;
  moments: number;
  changes: number;
  hostile?: boolean;
  events?: boolean;
}

/** A generator of numbers from 0 to 1 (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PAGE = 4096;

export function trace(wanted: Wanted): Trace {
  const next = random(1);
  const below = (limit: number) => Math.floor(next() * limit);
  const odd = wanted.hostile ? HOSTILE : "";
  const frames: Trace["frames"] = Array.from({ length: wanted.owners }, (_, i) => {
    const file = i % 40;
    return [
      `package/part${file}.py${odd}`,
      1 + Math.floor(i / 40),
      `function_${i % 500}${odd}`,
      `package.part${file}${odd}`,
    ];
  });
  const name = wanted.hostile ? `main \u202e\u0000 ${HOSTILE}` : "main.py";
  return {
    schema: 1,
    title: name,
    generator: "pymemtrace 0.1.0",
    header: [
      ["Command", `python ${name}`],
      ["Engine", "faults"],
      ["Error band", "none"],
    ],
    closing: ["RSS = before start + owned + file + shared + kernel + tracer + unexplained"],
    frames,
    processes: [
      process(wanted, 100, name, below),
      process({ ...wanted, nodes: 50, changes: 200, events: false }, 101, "child", below),
      untraced(102),
    ],
    sources: {
      [frames[0][0]]: { first: 1, lines: Array.from({ length: 60 }, (_, i) => `value = work(${i})  # ${odd}`) },
    },
    comparison: wanted.hostile ? comparison(odd) : null,
  };
}

function comparison(odd: string): Comparison {
  const kinds = ["line", "function", "module", "thread"] as const;
  const rows: Compared["rows"]["line"] = [
    [`grown${odd}`, `part.py:1${odd}`, "grew", 1 << 20, 5 << 20, 0],
    ["shrunk", "part.py:2", "shrank", 3 << 20, 1 << 20, 4096],
    ["vanished", "part.py:3", "gone", 1 << 20, 0, 0],
  ];
  const view = (now: number, rows: Compared["rows"]["line"]): Compared => ({
    notes: [`Python versions differ${odd}`],
    whole: [20 << 20, now],
    parts: [
      ["before_start", 10 << 20, 10 << 20],
      ["owned", 10 << 20, now - (10 << 20)],
    ],
    rows: Object.fromEntries(kinds.map((kind) => [kind, rows])) as Compared["rows"],
    left_out: { line: 7, function: 0, module: 0, thread: 0 },
  });
  return {
    base: [`old${odd}.pmt`],
    views: {
      peak: view(21 << 20, rows),
      end: view(18 << 20, rows.slice(1)),
      touched: view(64 << 20, rows.slice(0, 2)),
    },
  };
}

function process(wanted: Wanted, pid: number, name: string, below: (limit: number) => number): RawProcess {
  const { nodes, moments, owners } = wanted;
  const parent = [-1];
  const frame = [-1];
  // Each node below one of the last few: deep stacks, with many branches.
  for (let node = 1; node < nodes; node++) {
    parent.push(node < 4 ? 0 : Math.max(1, node - 1 - below(30)));
    frame.push(below(20) ? below(owners) : -1);
  }
  const changes: RawProcess["changes"] = { node: [], thread: [], moment: [], resident: [], touched: [] };
  const held = new Map<string, number>();
  const owned = new Array<number>(moments).fill(0);
  let now = 0;
  for (let i = 0, moment = 0; i < wanted.changes; i++) {
    const until = Math.floor((i * moments) / wanted.changes);
    while (moment < until) owned[moment++] = now;
    const [node, thread] = [below(nodes), below(3)];
    const key = `${node} ${thread}`;
    const had = held.get(key) ?? 0;
    const touched = below(4) ? below(64) * PAGE : 0;
    // Sometimes more is found than was told of, as where another thread's fault made RSS rise.
    const found = below(5) ? 0 : below(32) * PAGE;
    const released = moment > moments * 0.7 ? had : below(1 + had / PAGE) * PAGE * Number(below(6) === 0);
    held.set(key, had + touched + found - released);
    now += touched + found - released;
    changes.node.push(node);
    changes.thread.push(thread);
    changes.moment.push(moment);
    changes.resident.push(touched + found - released);
    changes.touched.push(touched);
  }
  for (let moment = moments - 1; moment >= 0 && !owned[moment]; moment--) owned[moment] = now;
  const parts = Object.fromEntries(
    PARTS.map((part, i) => [part, owned.map((_, m) => (part === "unexplained" ? -PAGE * (m % 3) : i * 64 * PAGE))]),
  );
  const rss = owned.map((bytes, m) => PARTS.reduce((sum, part) => sum + parts[part][m], bytes));
  const times = owned.map((_, m) => m / 50);
  return {
    ...{ pid, name, command: `python ${name}`, traced: true, engine: "faults", end: "exit status 0", note: null },
    ...{
      times,
      rss,
      parts: parts as RawProcess["parts"],
      limit: times.map(() => 2 ** 33),
      usage: rss,
      peak: rss.indexOf(Math.max(...rss)),
    },
    threads: [
      [pid, name],
      [pid + 1, "worker"],
      [pid + 2, "writer"],
    ],
    ...{ parent, frame, changes },
    marks: [[times[5], `mark ${name}`]],
    snapshots: [
      [times[8], name, "asked"],
      [times[3], "", "fell"],
    ],
    ...(wanted.events ? events(parent, frame, below) : { calls: null, lines: null }),
  };
}

/** A child that is no Python: nothing is known of it but that it was there. */
function untraced(pid: number): RawProcess {
  const none = { node: [], thread: [], moment: [], resident: [], touched: [] };
  const parts = Object.fromEntries(PARTS.map((part) => [part, []])) as unknown as RawProcess["parts"];
  return {
    ...{
      pid,
      name: "ls",
      command: "ls",
      traced: false,
      engine: "none",
      end: "exit status 0",
      note: "not a Python process",
    },
    ...{
      times: [],
      rss: [],
      parts,
      limit: [],
      usage: [],
      peak: 0,
      threads: [],
      parent: [-1],
      frame: [-1],
      changes: none,
    },
    ...{ marks: [], snapshots: [], calls: null, lines: null },
  };
}

function events(
  parent: number[],
  frame: number[],
  below: (limit: number) => number,
): Pick<RawProcess, "calls" | "lines"> {
  const column = (limit: number) => parent.map(() => below(limit));
  const inclusive = (values: number[]) => {
    for (let node = values.length - 1; node > 0; node--) values[parent[node]] += values[node];
    return values;
  };
  const bytes = () => inclusive(column(20).map((pages) => pages * PAGE));
  return {
    calls: { parent, frame, count: column(100), time_ns: inclusive(column(1e6)), growth: bytes(), release: bytes() },
    lines: {
      "package/part0.py": [
        [1, 5, 1_000_000, 8192, 4096],
        [2, 7, 2_000_000, 0, 12288],
      ],
    },
  };
}

/** JSON for a script element, as Python writes it. */
export function embedded(data: Trace): string {
  return JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
