/** Numbers and names for people, as in src/pymemtrace/report/units.py and text.py. */

const STEPS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const MINUS = "\u2212";
// As Python rounds: what lies in the middle becomes even.
const ONE_DECIMAL = new Intl.NumberFormat("en-US", {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  roundingMode: "halfEven",
});

/** Bytes as "0 B", "4.0 KiB", "1.5 MiB". */
export function size(bytes: number): string {
  const sign = bytes < 0 ? MINUS : "";
  let value = Math.abs(bytes);
  if (value < 1024) return `${sign}${Math.round(value)} B`;
  let unit = "";
  for (unit of STEPS) {
    value /= 1024;
    // 1023.95 would be shown as "1024.0": the next unit is the better name for it.
    if (value < 1023.95) break;
  }
  return `${sign}${ONE_DECIMAL.format(value)} ${unit}`;
}

/** The same with a plus before a rise. */
export function change(bytes: number): string {
  return bytes > 0 ? `+${size(bytes)}` : size(bytes);
}

/** Bytes exactly, as sums on the command line have them: whole KiB, or else single bytes. */
export function kib(bytes: number): string {
  const sign = bytes < 0 ? MINUS : "";
  const value = Math.abs(bytes);
  return value % 1024 ? `${sign}${count(value)} B` : `${sign}${count(value / 1024)} KiB`;
}

/** Bytes as "238.2 MiB (243,968 KiB)": the rounded size, and the exact one. */
export function exactly(bytes: number): string {
  return `${size(bytes)} (${kib(bytes)})`;
}

/** Bytes at the ticks of an axis: no decimals that say nothing. */
export function tick(bytes: number): string {
  return size(bytes).replace(/\.0 /, " ");
}

export function share(part: number, whole: number): string {
  return whole > 0 ? `${ONE_DECIMAL.format((100 * part) / whole)} %` : "-";
}

/** Seconds from the start of the trace. */
export function clock(seconds: number): string {
  return `${seconds.toFixed(seconds < 1000 ? 3 : 1)} s`;
}

export function duration(nanoseconds: number): string {
  const seconds = nanoseconds / 1e9;
  if (nanoseconds === 0) return "0 s";
  if (nanoseconds < 1e3) return `${nanoseconds} ns`;
  if (nanoseconds < 1e6) return `${(nanoseconds / 1e3).toFixed(0)} us`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(1)} ms`;
  if (seconds < 59.995) return `${seconds.toFixed(2)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  const rest = String(Math.round(seconds) % 60).padStart(2, "0");
  return minutes < 60
    ? `${minutes} min ${rest} s`
    : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function count(number: number): string {
  return number.toLocaleString("en-US");
}

/** The text with each character that does not print (control, format, surrogate) as an escape, tabs as spaces. */
export function clean(text: string): string {
  return text
    .replaceAll("\t", "    ")
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** A name for a view: its middle cut out where it is long (before it is cleaned: a name may have a megabyte). */
export function label(text: string, limit = 200): string {
  const half = limit >> 1;
  return clean(text.length <= limit ? text : `${text.slice(0, half)}…${text.slice(text.length - half)}`);
}
