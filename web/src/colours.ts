/** Colours of names: the same name has the same hue in every page. */

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return (value ^ (value >>> 15)) >>> 0;
}

const HUES = 24;

/** Of a module's cells in the flame graph: light enough, or dark enough, for the text on them. */
export function moduleColour(module: string, dark: boolean): string {
  const value = hash(module);
  const hue = ((value % HUES) * 360) / HUES;
  const step = ((value >>> 8) % 3) * 0.025;
  return dark ? oklch(0.4 + step, 0.06, hue) : oklch(0.88 - step, 0.06, hue);
}

/** Of names that stand side by side: a name's own hue unless one before it has taken that. */
export function distinctColours(names: string[], dark: boolean): string[] {
  const slots = 14;
  const taken = new Set<number>();
  return names.map((name) => {
    let slot = hash(name) % slots;
    while (taken.has(slot) && taken.size < slots) slot = (slot + 5) % slots;
    taken.add(slot);
    return dark
      ? oklch(0.56 + (slot % 2) * 0.06, 0.085, (slot * 360) / slots)
      : oklch(0.8 - (slot % 2) * 0.07, 0.09, (slot * 360) / slots);
  });
}

/** Red for growth, blue for release, grey between; the darker the more one-sided. */
export function changeColour(net: number, value: number, dark: boolean): string {
  const lean = value > 0 ? Math.max(-1, Math.min(1, net / value)) : 0;
  const strength = Math.abs(lean);
  const hue = lean > 0 ? 25 : 250;
  return dark ? oklch(0.36 + 0.08 * strength, 0.1 * strength, hue) : oklch(0.91 - 0.1 * strength, 0.09 * strength, hue);
}

/** A colour of the OKLCH space as #rrggbb, which canvas and every program that reads SVG know. */
function oklch(lightness: number, chroma: number, degrees: number): string {
  const a = chroma * Math.cos((degrees * Math.PI) / 180);
  const b = chroma * Math.sin((degrees * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  const byte = (x: number) => {
    const value = x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055;
    return Math.round(255 * Math.max(0, Math.min(1, value)))
      .toString(16)
      .padStart(2, "0");
  };
  return `#${linear.map(byte).join("")}`;
}
