/** What is drawn over the areas of the chart: names, the peak, marks, snapshots, the limit. Nothing by colour alone. */
import type uPlot from "uplot";
import type { Area, Stack } from "./areas.ts";
import type { RawProcess } from "./data.ts";
import { colour } from "./dom.ts";
import { label, size } from "./units.ts";

/** Pixels that a name in an area needs in height. */
const LINE = 14;

/** The canvas in its own pixels, of which a pixel of the page has `ratio`. */
interface Board {
  ctx: CanvasRenderingContext2D;
  ratio: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
  x(seconds: number): number;
  y(bytes: number): number;
}

export function annotate(plot: uPlot, raw: RawProcess, stack: Stack, limitShown: boolean): void {
  const { ctx, bbox } = plot;
  const board: Board = {
    ctx,
    ratio: devicePixelRatio,
    ...{ left: bbox.left, right: bbox.left + bbox.width, top: bbox.top, bottom: bbox.top + bbox.height },
    x: (seconds) => plot.valToPos(seconds, "x", true),
    y: (bytes) => plot.valToPos(bytes, "y", true),
  };
  ctx.save();
  ctx.font = `${11 * board.ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "middle";
  nameAreas(board, raw.times, stack.areas);
  ctx.lineWidth = board.ratio;
  for (const [seconds, name, kind] of raw.snapshots) snapshot(board, seconds, name !== "" || kind === "asked");
  uprights(board, raw, stack);
  limit(board, raw, limitShown);
  ctx.restore();
}

/** Writes each area's name where it has the most room for a line of text. */
function nameAreas(board: Board, times: number[], areas: Area[]): void {
  const { ctx, ratio } = board;
  const x = times.map(board.x);
  const sum = new Float64Array(x.length);
  const edge = () => Array.from(sum, board.y);
  let bottom = edge();
  ctx.fillStyle = colour("--on-area");
  ctx.textAlign = "center";
  for (const area of areas) {
    for (let i = 0; i < x.length; i++) sum[i] += Math.max(0, area.bytes[i]);
    const top = edge();
    const room = widest(x, top, bottom, board.left, board.right, LINE * ratio);
    bottom = top;
    const text = fitted(ctx, `${area.key} ${area.name}`.trim(), room.to - room.from - 8 * ratio) || area.key;
    if (room.to - room.from > LINE * ratio) ctx.fillText(text, (room.from + room.to) / 2, room.y);
  }
  ctx.textAlign = "left";
}

/** A full triangle for one that the program asked for, a smaller hollow one for those that are taken anyway. */
function snapshot({ ctx, ratio, left, right, bottom, x }: Board, seconds: number, asked: boolean): void {
  const at = x(seconds);
  if (at < left || at > right) return;
  const [height, half] = asked ? [7 * ratio, 4 * ratio] : [5 * ratio, 3 * ratio];
  ctx.beginPath();
  ctx.moveTo(at, bottom - height);
  ctx.lineTo(at + half, bottom);
  ctx.lineTo(at - half, bottom);
  ctx.closePath();
  ctx.fillStyle = colour(asked ? "--ink" : "--surface");
  ctx.strokeStyle = colour("--muted");
  ctx.fill();
  if (!asked) ctx.stroke();
}

/** The peak and the marks, with their words above the chart. */
function uprights(board: Board, raw: RawProcess, stack: Stack): void {
  const { ctx, ratio, left, right, top, bottom } = board;
  ctx.fillStyle = ctx.strokeStyle = colour("--ink");
  const taken: [number, number][] = [];
  const words = (x: number, text: string) => {
    const width = ctx.measureText(text).width;
    const from = Math.max(left, Math.min(x - 4 * ratio, right - width));
    const to = from + width + 10 * ratio;
    if (taken.some(([start, end]) => from < end && start < to)) return;
    ctx.fillText(text, from, top - 9 * ratio);
    taken.push([from, to]);
  };
  const upright = (seconds: number, to: number, dash: number[], text: string) => {
    const x = board.x(seconds);
    if (x < left || x > right) return;
    ctx.setLineDash(dash);
    ctx.beginPath();
    ctx.moveTo(x, top - 3 * ratio);
    ctx.lineTo(x, to);
    ctx.stroke();
    words(x, text);
  };
  // The peak first: it has its words where marks are close.
  const [peak, height] = [raw.rss[raw.peak], stack.rss[raw.peak]];
  if (peak && height) upright(raw.times[raw.peak], board.y(height), [], `\u25bc ${stack.peak} ${size(peak)}`);
  for (const [seconds, text] of raw.marks) upright(seconds, bottom, [2 * ratio, 3 * ratio], label(text, 24));
}

function limit({ ctx, ratio, left, top, y }: Board, raw: RawProcess, isShown: boolean): void {
  const bytes = raw.limit.findLast((each) => each !== null);
  if (!bytes) return;
  const at = y(bytes);
  const shown = isShown && at >= top;
  ctx.fillStyle = colour("--warn");
  const text = `limit ${size(bytes)}${shown ? "" : " \u2191"}`;
  ctx.fillText(text, left + 6 * ratio, shown ? at - 8 * ratio : top + 8 * ratio);
}

/** The widest strip of a height within an area, from where it is thick enough at some moments on. All in pixels. */
function widest(x: number[], top: number[], bottom: number[], left: number, right: number, height: number) {
  let best = { from: 0, to: 0, y: 0 };
  const stride = Math.max(1, Math.floor(x.length / 80));
  for (let start = 0; start < x.length; start += stride) {
    let [low, high] = [bottom[start], top[start]];
    let end = start;
    while (low - high >= height) {
      const [from, to] = [Math.max(left, x[start]), Math.min(right, x[end])];
      if (to - from > best.to - best.from) best = { from, to, y: (low + high) / 2 };
      if (++end === x.length) break;
      low = Math.min(low, bottom[end]);
      high = Math.max(high, top[end]);
    }
  }
  return best;
}

/** The text, cut to a width; "" where too little of it is left to be read. */
function fitted(ctx: CanvasRenderingContext2D, text: string, room: number): string {
  const { width } = ctx.measureText(text);
  if (width <= room) return text;
  const letters = Math.floor((text.length * room) / width) - 1;
  return letters < 9 ? "" : `${text.slice(0, letters)}\u2026`;
}
