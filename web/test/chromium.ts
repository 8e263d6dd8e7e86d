/** Debian's chromium (tools/system-packages chromium). */
import { execSync } from "node:child_process";
import { chromium, type Browser } from "playwright-core";

export function launch(): Promise<Browser> {
  const executablePath = execSync("command -v chromium || command -v chromium-browser", { encoding: "utf8" }).trim();
  // Chromium refuses its sandbox to root.
  return chromium.launch({ executablePath, args: process.getuid!() ? [] : ["--no-sandbox"] });
}
