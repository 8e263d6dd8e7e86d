/** What the chart stacks: owners, processes, or the parts of RSS, and the line of RSS that they reach. */
import {
  PARTS,
  processesOverTime,
  type Frames,
  type Grouping,
  type Groups,
  type Process,
  type RawProcess,
} from "./data.ts";
import { distinctColours } from "./colours.ts";
import { colour, isDark } from "./dom.ts";
import { label } from "./units.ts";

/** "process": RSS of each process; "category": the parts of RSS, what stacks own as one. */
export type Areas = Grouping | "process" | "category";

export interface Area {
  /** Stands in the legend's swatch, and before the name in the area. */
  key: string;
  name: string;
  bytes: ArrayLike<number>;
  fill: string;
  /** No part of RSS, which stand behind owners in the legend. */
  isOwner: boolean;
}

export interface Stack {
  /** From the bottom up. */
  areas: Area[];
  /** What the line is, and its bytes at each moment. */
  name: string;
  rss: (number | null)[];
  /** Of which RSS the peak is that the chart marks. */
  peak: string;
}

/** Other processes whose RSS can be stacked, and how frames are grouped. */
export interface Surroundings {
  frames: Frames;
  groups: Record<Exclude<Grouping, "thread">, Groups>;
  processes: RawProcess[];
}

const MOST = 12;
const PART_NAMES: Record<(typeof PARTS)[number], string> = {
  before_start: "before start",
  file: "file",
  shared: "shared",
  kernel: "kernel",
  tracer: "tracer",
  unexplained: "unexplained",
};

export function stack(process: Process, by: Areas, around: Surroundings): Stack {
  if (by === "process") return processes(process.raw, around.processes);
  const parts = PARTS.map((name, i) => part(process.raw, name, i)).filter((area) =>
    Array.prototype.some.call(area.bytes, (bytes) => bytes !== 0),
  );
  const unexplained = parts.filter((area) => area.name === PART_NAMES.unexplained);
  return {
    areas: [...parts.filter((area) => !unexplained.includes(area)), ...owners(process, by, around), ...unexplained],
    name: "RSS",
    rss: process.raw.rss,
    peak: "peak",
  };
}

function part({ parts }: RawProcess, name: (typeof PARTS)[number], i: number): Area {
  const fill = colour(`--part-${i + 1}`);
  return { key: "", name: PART_NAMES[name], bytes: parts[name], fill, isOwner: false };
}

function owners(process: Process, by: Exclude<Areas, "process">, { frames, groups }: Surroundings): Area[] {
  if (by === "category") return others("owned", process.ownersOverTime(null, 0));
  const found = process.ownersOverTime(by === "thread" ? null : groups[by], MOST);
  const title = (owner: number) => {
    if (by === "thread") return `${label(process.raw.threads[owner][1])} (${process.raw.threads[owner][0]})`;
    const frame = groups[by].frame[owner];
    if (by === "module") return frames.module[frame];
    return by === "line" ? `${frames.name[frame]}  ${shortPlace(frames.place[frame])}` : frames.name[frame];
  };
  return [...named(found.owners.map(title), found.bytes), ...others(`${found.others} others`, found)];
}

function processes(shown: RawProcess, all: RawProcess[]): Stack {
  const found = processesOverTime(shown, all, MOST);
  const titles = found.owners.map((number) => `${label(all[number].name)} (${all[number].pid})`);
  const areas = [...named(titles, found.bytes), ...others(`${found.others} others`, found)];
  const rss = shown.times.map((_, moment) => areas.reduce((sum, { bytes }) => sum + bytes[moment], 0));
  return { areas, name: "RSS, sum of processes", rss, peak: `peak of process ${shown.pid}` };
}

function named(names: string[], bytes: Float64Array[]): Area[] {
  const fills = distinctColours(names, isDark());
  return names.map((name, i) => ({ key: String(i + 1), name, bytes: bytes[i], fill: fills[i], isOwner: true }));
}

function others(name: string, found: { rest: Float64Array; others: number }): Area[] {
  return found.others ? [{ key: "", name, bytes: found.rest, fill: colour("--others"), isOwner: true }] : [];
}

function shortPlace(place: string): string {
  return place.slice(place.lastIndexOf("/") + 1);
}
