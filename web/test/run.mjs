/** Builds the page and the tests, and runs them: node test/run.mjs [pattern of files]. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
// Below node_modules, so that the packages are found and nothing of it is under version control.
const OUT = join(HERE, "../node_modules/.test");

mkdirSync(OUT, { recursive: true });
const tests = readdirSync(HERE).filter((name) => name.endsWith(".test.ts") && name.includes(process.argv[2] ?? ""));
await build({
  entryPoints: tests.map((name) => join(HERE, name)),
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  outdir: OUT,
  outExtension: { ".js": ".mjs" },
});
const node = (...args) => spawnSync(process.execPath, args, { stdio: "inherit" }).status ?? 1;
const built = node(join(HERE, "../build.mjs"), `--outfile=${join(OUT, "page.html")}`);
process.exit(
  built || node("--test", "--test-concurrency=1", ...tests.map((name) => join(OUT, name.replace(/ts$/, "mjs")))),
);
