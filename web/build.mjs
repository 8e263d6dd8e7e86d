/**
 * Makes the page that Python puts the data into: one file with style, script and licences inside, and the marker
 * @DATA@. node build.mjs [--outfile=PATH], by default ../build/page.html.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));

function licences() {
  const { dependencies } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
  return Object.keys(dependencies).map((name) => {
    const folder = join(HERE, "node_modules", name);
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return `${name} ${version}\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}`;
  });
}

async function bundle() {
  const result = await build({
    entryPoints: [join(HERE, "src/main.ts")],
    bundle: true,
    minify: true,
    format: "iife",
    target: ["chrome123", "firefox120", "safari17.5"], // light-dark() in the style sheet
    charset: "ascii", // what stands in the page reads the same in any encoding
    legalComments: "inline",
    banner: { js: `/*! ${licences().join("\n\n").replaceAll("*/", "* /")} */` },
    outdir: HERE,
    write: false,
  });
  const text = (end) => result.outputFiles.find((file) => file.path.endsWith(end)).text.trim();
  return { script: text(".js"), style: text(".css") };
}

function page({ script, style }) {
  if (/<\/script|<!--/i.test(script) || /<\/style/i.test(style))
    throw new Error("the bundle would end its own element");
  const hash = (text) => `sha256-${createHash("sha256").update(text).digest("base64")}`;
  const escaped = licences().join("\n\n\n").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const parts = { SCRIPT: script, STYLE: style, SCRIPT_HASH: hash(script), STYLE_HASH: hash(style), LICENCES: escaped };
  const html = readFileSync(join(HERE, "src/page.html"), "utf8").replace(
    /@([A-Z_]+)@/g,
    (all, name) => parts[name] ?? all,
  );
  if (html.split("@DATA@").length !== 2) throw new Error("the marker of the data must stand in the page once");
  return html;
}

const { values } = parseArgs({ options: { outfile: { type: "string", default: join(HERE, "../build/page.html") } } });
mkdirSync(dirname(values.outfile), { recursive: true });
writeFileSync(`${values.outfile}.new`, page(await bundle()));
renameSync(`${values.outfile}.new`, values.outfile);
