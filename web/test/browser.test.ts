/** The page in a browser, opened as a file. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { focus, Frames, groupings, matched, pattern, Process, search, type Mode, type Trace } from "../src/data.ts";
import { exactly, kib, size } from "../src/units.ts";
import { launch } from "./chromium.ts";
import { embedded, trace } from "./synthetic.ts";

const small = trace({ owners: 60, nodes: 300, moments: 40, changes: 3000, events: true });
const large = trace({ owners: 2000, nodes: 20_000, moments: 600, changes: 200_000, events: true });
const hostile = trace({ owners: 60, nodes: 300, moments: 40, changes: 3000, events: true, hostile: true });
const alone = { ...small, processes: small.processes.slice(0, 1) };
const frames = new Frames(small.frames);
const first = new Process(small.processes[0], frames);

let folder: string;
let browser: Browser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "page-"));
  const template = readFileSync(new URL("page.html", import.meta.url), "utf8");
  const write = (name: string, data: Trace) =>
    writeFileSync(
      join(folder, name),
      template.replace("@DATA@", () => embedded(data)),
    );
  write("small.html", small);
  write("large.html", large);
  write("hostile.html", hostile);
  write("alone.html", alone);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

type Options = { width?: number; colorScheme?: "light" | "dark" };

/** Opens a page, runs the test, and then asks for a silent console and no traffic. */
async function open(
  name: string,
  run: (page: Page) => Promise<void>,
  { width = 1280, colorScheme = "light" }: Options = {},
) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme, reducedMotion: "reduce" });
  const noise: string[] = [];
  page.on("console", (message) => noise.push(message.text()));
  page.on("pageerror", (error) => noise.push(String(error)));
  page.on("request", (request) => {
    if (!/^(file|blob):/.test(request.url())) noise.push(request.url());
  });
  try {
    await page.goto(`file://${join(folder, name)}`);
    await run(page);
    assert.deepEqual(noise, []);
  } finally {
    await page.close();
  }
}

const when = (page: Page) => page.locator(".when").textContent();
/** What changed has choices of these names too, further down. */
const mode = (page: Page, name: string) => page.getByRole("radio", { name, exact: true }).first();
const details = (page: Page) => page.locator(".details").textContent();

/** What the table must show of the function that has most. */
function heaviest(of: Mode, moment: number, span = first.all, thread = -1): [string, string] {
  const { values } = focus(first, of, moment, span, thread);
  const { function: groups } = groupings(frames);
  const { self } = first.groupSums(first.tree, groups, values.self, values.total);
  const most = Math.max(...self);
  return [frames.name[groups.frame[self.indexOf(most)]], size(most)];
}

async function shown(page: Page): Promise<[string, string]> {
  const row = page.locator(".table tbody tr:not(.spacer)").first();
  return [(await row.locator(".name").textContent())!, (await row.locator("td").nth(1).textContent())!];
}

async function byFunction(page: Page): Promise<void> {
  await page.locator(".table").getByRole("radio", { name: "Function" }).check();
}

/** Where a moment stands in the chart, in pixels of the window. */
async function xOf(page: Page, moment: number): Promise<{ x: number; y: number }> {
  await page.locator(".u-over").scrollIntoViewIfNeeded();
  const box = (await page.locator(".u-over").boundingBox())!;
  return { x: box.x + (box.width * moment) / 39, y: box.y + 100 };
}

/** Moves the pointer to a moment in the chart, until the readout says it. */
async function pointAt(page: Page, moment: number): Promise<void> {
  const { x, y } = await xOf(page, moment);
  await page.mouse.move(x, y);
  await page.locator(".readout", { hasText: `${small.processes[0].times[moment].toFixed(3)} s` }).waitFor();
  await page.evaluate("new Promise(requestAnimationFrame)");
}

async function pointAway(page: Page): Promise<void> {
  await page.mouse.move(5, 5);
  await page.evaluate("new Promise(requestAnimationFrame)");
}

const drag = async (page: Page, from: number, to: number) => {
  const [down, up] = [await xOf(page, from), await xOf(page, to)];
  await page.mouse.move(down.x, down.y);
  await page.mouse.down();
  await page.mouse.move(up.x, up.y, { steps: 5 });
};

test("opens at the peak with its facts, closing line and processes", () =>
  open("small.html", async (page) => {
    const { peak, rss } = small.processes[0];
    assert.match((await when(page))!, new RegExp(`\\(peak\\) · RSS ${size(rss[peak]!)}$`));
    assert.equal(await page.title(), "main.py");
    for (const text of ["Command", "python main.py", small.closing[0], "pymemtrace 0.1.0"]) {
      assert.ok(await page.locator("header").getByText(text, { exact: true }).first().isVisible(), text);
    }
    assert.equal(await page.getByRole("radio", { name: /^\d+$/ }).count(), 3);
    await byFunction(page);
    assert.deepEqual(await shown(page), heaviest("resident", peak));
    assert.match((await page.locator("footer").textContent())!, /uplot 1\.[\s\S]*MIT License/);
  }));

test("a click sets the moment that the views show", () =>
  open("small.html", async (page) => {
    await byFunction(page);
    const { x, y } = await xOf(page, 12);
    await page.mouse.click(x, y);
    assert.match((await when(page))!, /^0\.240 s · RSS /);
    assert.deepEqual(await shown(page), heaviest("resident", 12));
  }));

test("the views follow the pointer until it leaves; a click keeps the moment", () =>
  open("small.html", async (page) => {
    await byFunction(page);
    const { peak } = small.processes[0];
    await mode(page, "Touched").check();
    const height = await page.evaluate("document.body.scrollHeight");
    await pointAt(page, 12);
    assert.match((await when(page))!, /^0\.240 s · RSS /);
    assert.ok(await mode(page, "Resident").isChecked());
    assert.deepEqual(await shown(page), heaviest("resident", 12));
    assert.match((await details(page))!, /resident at 0\.240 s/);
    await pointAt(page, 0);
    assert.ok(((await page.evaluate("document.body.scrollHeight")) as number) >= (height as number));
    await pointAway(page);
    assert.match((await when(page))!, /\(peak\)/);
    assert.ok(await mode(page, "Touched").isChecked());
    assert.deepEqual(await shown(page), heaviest("touched", peak));
    const { x, y } = await xOf(page, 13);
    await page.mouse.click(x, y);
    await pointAway(page);
    assert.match((await when(page))!, /^0\.260 s/);
    assert.deepEqual(await shown(page), heaviest("resident", 13));
  }));

test("zoom, selection and sorting survive that the pointer passes over the chart", () =>
  open("small.html", async (page) => {
    const atTheLeft = async () => {
      const box = (await page.locator(".flame canvas").boundingBox())!;
      await page.mouse.move(box.x + 5, box.y + 50);
      return details(page);
    };
    await page.getByRole("tree").focus();
    for (const key of ["ArrowDown", "ArrowDown", "ArrowRight"]) await page.keyboard.press(key);
    const selected = await details(page);
    assert.notEqual(await atTheLeft(), selected);
    await page.keyboard.press("Enter");
    assert.equal(await atTheLeft(), selected);
    await page.getByRole("button", { name: "touched" }).first().click();
    const head = page.locator(".table th[aria-sort=descending]").first();
    const rows = await shown(page);
    for (const moment of [0, 1, 12, 38]) {
      await pointAt(page, moment);
      assert.equal(await head.textContent(), "touched \u25be");
    }
    await pointAway(page);
    assert.equal(await details(page), selected);
    await page.locator(".flame").scrollIntoViewIfNeeded();
    assert.equal(await atTheLeft(), selected);
    assert.deepEqual(await shown(page), rows);
  }));

test("while something is dragged, and with a span, only the readout follows the pointer", () =>
  open("small.html", async (page) => {
    await byFunction(page);
    await drag(page, 10, 33);
    await page.evaluate("new Promise(requestAnimationFrame)");
    assert.match((await when(page))!, /\(peak\)/);
    assert.ok(await page.locator(".span-band").isVisible());
    await page.mouse.up();
    assert.match((await when(page))!, /^0\.200 s to 0\.660 s/);
    await pointAt(page, 20);
    assert.match((await when(page))!, /^0\.200 s to 0\.660 s/);
    assert.deepEqual(await shown(page), heaviest("touched", 33, { after: 10, until: 33 }));
    await pointAway(page);
    assert.match((await page.locator(".readout").textContent())!, /^0\.660 s/);
  }));

test("the readout and the legend are exact; how far moments are apart is said", () =>
  open("small.html", async (page) => {
    const { peak, rss } = small.processes[0];
    const readout = page.locator(".readout");
    assert.ok((await readout.textContent())!.includes(`RSS ${exactly(rss[peak]!)}peak`));
    await pointAt(page, 7);
    assert.ok((await readout.textContent())!.startsWith(`0.140 s · RSS ${exactly(rss[7]!)}`));
    assert.equal(await page.locator(".legend .exact").first().textContent(), kib(rss[7]!));
    assert.ok(await page.getByText("40 moments, at most 20.0 ms apart").isVisible());
  }));

test("snapshots that were asked for are full, others are hollow", () =>
  open("small.html", async (page) => {
    const [asked, taken, none] = (await page.evaluate(`(() => {
      const over = document.querySelector(".u-over");
      const canvas = document.querySelector(".u-wrap canvas").getContext("2d");
      const { data } = canvas.getImageData(over.offsetLeft, over.offsetTop + over.offsetHeight - 2, over.offsetWidth, 1);
      return [8, 3, 4].map((moment) => data[4 * Math.round((over.offsetWidth * moment) / 39)]);
    })()`)) as number[];
    assert.ok(asked < 60 && taken > none, `${asked} ${taken} ${none}`);
  }));

test("areas by process, of which the line is the sum; only where there are several", () =>
  open("small.html", async (page) => {
    await mode(page, "Process").check();
    const { peak } = small.processes[0];
    const [first, second] = small.processes.map(({ rss }) => rss[peak]!);
    const legend = page.locator(".legend li");
    const text = (await legend.allTextContents()).map((each) => each.replace(/^\d(?=main|child)/, ""));
    assert.deepEqual(text, [
      `RSS, sum of processes${size(first + second)}${kib(first + second)}`,
      `main.py (100)${size(first)}${kib(first)}`,
      `child (101)${size(second)}${kib(second)}`,
    ]);
    assert.ok((await page.locator(".readout").textContent())!.includes(exactly(first + second)));
    await page.getByRole("radio", { name: "102" }).check();
    assert.ok(await page.getByText("RSS is not known over time").isVisible());
    await page.goto(`file://${join(folder, "alone.html")}`);
    assert.equal(await mode(page, "Process").count(), 0);
  }));

test("what the event log says is of all threads: none can be chosen, and the table has no zeros for it", () =>
  open("small.html", async (page) => {
    const threads = page.locator(".thread select");
    await threads.selectOption("1");
    await mode(page, "Time").check();
    assert.ok(await threads.isDisabled());
    assert.equal(await threads.inputValue(), "-1");
    assert.match((await threads.getAttribute("title"))!, /all threads/);
    assert.match((await details(page))!, /all threads/);
    const table = page.locator(".table").first();
    await table.getByRole("radio", { name: "Thread" }).check();
    assert.match((await table.locator(".found").textContent())!, /sums of all threads only/);
    assert.deepEqual(await table.locator("th").allTextContents(), ["Thread", "resident", "touched", "released"]);
    await mode(page, "Resident").check();
    assert.equal(await threads.inputValue(), "1");
    await mode(page, "RSS change").check();
    await table.locator("tbody tr:not(.spacer)").nth(2).click();
    assert.ok(await mode(page, "Resident").isChecked());
    assert.equal(await threads.inputValue(), "2");
  }));

test("a drag chooses a span: what was touched, what was released", () =>
  open("small.html", async (page) => {
    await byFunction(page);
    await drag(page, 10, 33);
    await page.mouse.up();
    const span = { after: 10, until: 33 };
    assert.ok(await mode(page, "Touched").isChecked());
    assert.deepEqual(await shown(page), heaviest("touched", 33, span));
    await mode(page, "Released").check();
    assert.deepEqual(await shown(page), heaviest("released", 33, span));
    await page.locator(".bar").getByRole("button", { name: "Whole run" }).click();
    assert.deepEqual(await shown(page), heaviest("released", 33));
  }));

test("search: how much matches, in the graph and in the table", () =>
  open("small.html", async (page) => {
    const query = frames.place[3];
    const { values } = focus(first, "resident", small.processes[0].peak, first.all, -1);
    const { total } = matched(values, search(frames, pattern(query)));
    await page.getByLabel("Search frames").fill(query);
    assert.match((await page.locator(".found").first().textContent())!, new RegExp(`^${size(total)}, .* in 1 frame$`));
    await page.getByLabel("Search frames").fill("/(/");
    assert.equal(await page.locator(".found").first().textContent(), "not a regular expression");
    await page.getByLabel("Filter rows").fill("/^function_1$/");
    const names = await page.locator(".table .name").allTextContents();
    assert.ok(names.length && names.every((name) => name === "function_1"));
  }));

test("the inverted graph has the same total; threads and processes can be chosen", () =>
  open("small.html", async (page) => {
    const upright = await details(page);
    await page.getByLabel("Inverted").check();
    const total = /all: .*?s([\d.]+ MiB)/.exec(upright!)![1];
    assert.ok((await details(page))!.includes(total));
    await byFunction(page);
    await page.locator(".thread select").selectOption("1");
    assert.deepEqual(await shown(page), heaviest("resident", small.processes[0].peak, first.all, 1));
    await page.getByRole("radio", { name: "101" }).check();
    assert.match((await when(page))!, new RegExp(`RSS ${size(small.processes[1].rss[small.processes[1].peak]!)}$`));
    assert.equal(await mode(page, "Time").count(), 0);
    await page.getByRole("radio", { name: "102" }).check();
    assert.equal(await when(page), "no samples");
    assert.ok(await page.getByText("not a Python process").isVisible());
    for (const name of ["Touched", "Released"]) await mode(page, name).check();
    await page.getByRole("button", { name: "One moment on" }).click();
    await page.getByRole("radio", { name: "100" }).check();
    assert.match((await when(page))!, /peak/);
  }));

test("zoom and pan of the chart: shift and drag, alt and drag, keys, ctrl and wheel, back to the whole run", () =>
  open("small.html", async (page) => {
    const dragWith = async (from: number, to: number, key: string) => {
      await page.keyboard.down(key);
      await drag(page, from, to);
      await page.mouse.up();
      await page.keyboard.up(key);
    };
    const momentAt = async (place: number) => {
      const { x, y } = await xOf(page, place);
      await page.mouse.click(x, y);
      return Math.round(parseFloat((await when(page))!) * 50);
    };
    await dragWith(10, 20, "Shift");
    assert.equal(await momentAt(19.5), 15);
    await dragWith(19.5, 0, "Alt");
    assert.equal(await momentAt(19.5), 20);
    await page.getByRole("button", { name: "Show the whole run" }).click();
    assert.equal(await momentAt(30), 30);
    await page.locator(".u-over").press("+");
    assert.equal(await momentAt(30), 30);
    assert.ok((await momentAt(2)) > 10);
    const { x, y } = await xOf(page, 20);
    await page.mouse.move(x, y);
    await page.keyboard.down("Control");
    for (let i = 0; i < 8; i++) await page.mouse.wheel(0, 200);
    await page.keyboard.up("Control");
    await page.waitForTimeout(100);
    assert.equal(await momentAt(10), 10);
  }));

test("the keyboard moves the moment, stretches a span, walks and zooms the graph, sorts and opens rows", () =>
  open("small.html", async (page) => {
    await byFunction(page);
    const { peak } = small.processes[0];
    await page.locator(".u-over").focus();
    await page.keyboard.press("ArrowLeft");
    assert.deepEqual(await shown(page), heaviest("resident", peak - 1));
    await page.keyboard.press("Home");
    await page.keyboard.press("PageUp");
    assert.match((await when(page))!, /^0\.200 s/);
    await page.keyboard.press("Shift+ArrowRight");
    assert.deepEqual(await shown(page), heaviest("touched", 11, { after: 9, until: 11 }));
    await page.keyboard.press("Escape");
    await page.keyboard.press("p");
    assert.match((await when(page))!, /peak/);

    const whole = await details(page);
    await page.getByRole("tree").focus();
    await page.keyboard.press("ArrowDown");
    const below = await details(page);
    assert.notEqual(below, whole);
    assert.equal(await page.getByRole("treeitem").getAttribute("aria-level"), "2");
    await page.keyboard.press("Enter");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    assert.equal(await details(page), below);
    await page.keyboard.press("s");
    await page.locator(".source tr.current").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await details(page), whole);

    const head = page.getByRole("button", { name: "touched" }).first();
    await head.focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    assert.equal(await page.locator(".table th[aria-sort=ascending]").textContent(), "touched \u25b4");
    await page.getByRole("grid", { name: "Owners" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    await page.locator(".table tr.current td").first().waitFor();
  }));

test("rows and frames lead to the source, with what its lines hold and what the event log says", () =>
  open("small.html", async (page) => {
    await page.getByLabel("Filter rows").fill("part0.py:2");
    await page.locator(".table tbody tr:not(.spacer)").first().click();
    const line = page.locator(".source tr.current td");
    assert.equal(await line.first().textContent(), "2");
    assert.ok((await line.allTextContents()).includes("\u221212.0 KiB"));
    assert.equal(await line.last().textContent(), "value = work(1)  # ");
    await mode(page, "RSS change").check();
    assert.match((await details(page))!, /growth .* release /);
    await mode(page, "Time").check();
    assert.match((await details(page))!, /ms/);
  }));

test("names cannot become markup; the graph can be saved as SVG", () =>
  open("hostile.html", async (page) => {
    for (const name of ["Touched", "RSS change", "Time"]) await mode(page, name).check();
    for (const name of ["Module", "Thread", "Line"]) await page.getByRole("radio", { name }).first().check();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save SVG" }).click(),
    ]);
    assert.equal(await page.evaluate("window.hacked"), undefined);
    assert.deepEqual(await page.evaluate("[document.scripts.length, document.images.length]"), [2, 0]);
    assert.ok((await page.locator("h1").textContent())!.includes("main \\u{202e}\\u{0} </script><script>"));
    const svg = readFileSync(await download.path(), "utf8");
    const [root, cells, scripts] = await page.evaluate((text) => {
      const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
      const all = (tag: string) => parsed.getElementsByTagName(tag).length;
      return [parsed.documentElement.tagName, all("title"), all("script") + all("img") + all("parsererror")] as const;
    }, svg);
    assert.deepEqual([root, scripts, cells > 50], ["svg", 0, true]);
    const policy = await page.locator("meta[http-equiv]").getAttribute("content");
    assert.match(policy!, /default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'/);
  }));

test("what changed: sums, order, filter, what is left out", () =>
  open("hostile.html", async (page) => {
    const section = page.getByRole("region", { name: "What changed" });
    const text = async () => (await section.textContent())!;
    assert.ok((await text()).includes("RSS 20.0 MiB \u2192 21.0 MiB: +1.0 MiB = owned +1.0 MiB"), await text());
    const names = () => section.locator("tbody .name").allTextContents();
    assert.deepEqual((await names()).slice(1), ["shrunk", "vanished"]);
    await section.getByRole("button", { name: "change" }).click();
    await section.getByRole("button", { name: "change" }).click();
    assert.deepEqual((await names()).slice(0, 2), ["shrunk", "vanished"]);
    await section.getByRole("radio", { name: "Line" }).check();
    assert.match(await text(), /3 rows, 7 smaller changes left out/);
    await section.getByRole("radio", { name: "End" }).check();
    assert.deepEqual(await names(), ["shrunk", "vanished"]);
    assert.ok((await text()).includes("RSS 20.0 MiB \u2192 18.0 MiB: \u22122.0 MiB"), await text());
    await section.getByRole("radio", { name: "Touched" }).check();
    assert.ok((await text()).includes("touched 20.0 MiB \u2192 64.0 MiB"), await text());
    await section.getByRole("radio", { name: "Peak" }).check();
    await section.getByRole("searchbox").fill("vanished");
    assert.deepEqual(await names(), ["vanished"]);
    assert.equal(await page.evaluate("window.hacked"), undefined);
  }));

test("light and dark: the system's theme, and the switch", () =>
  open(
    "small.html",
    async (page) => {
      const brightness = () =>
        page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])");
      assert.ok(((await brightness()) as number) < 60);
      await mode(page, "Light").check();
      assert.ok(((await brightness()) as number) > 200);
      await mode(page, "Auto").check();
      await page.emulateMedia({ colorScheme: "light" });
      await page.locator("html[data-theme=light]").waitFor();
      assert.ok(((await brightness()) as number) > 200);
    },
    { colorScheme: "dark" },
  ));

for (const name of ["small.html", "hostile.html"]) {
  test(`400 pixels wide, nothing sticks out: ${name}`, () =>
    open(
      name,
      async (page) => {
        assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 400);
        const { x, y } = await xOf(page, 20);
        await page.mouse.click(x, y);
        assert.match((await when(page))!, /^0\.400 s/);
        await page.setViewportSize({ width: 1000, height: 700 });
        await page.setViewportSize({ width: 400, height: 700 });
        await page.waitForFunction("document.documentElement.scrollWidth === 400"); // what is drawn is made anew
      },
      { width: 400 },
    ));
}

test("2,000 owners: at most 10 MiB, few rows in the document; how long it takes is only told", async () => {
  assert.ok(readFileSync(join(folder, "large.html")).length < 10 * 2 ** 20);
  const start = performance.now();
  await open("large.html", async (page) => {
    await page.locator(".when", { hasText: "peak" }).waitFor();
    const opened = performance.now() - start;
    assert.ok((await page.locator(".table tbody tr").count()) < 60);
    await page.locator(".u-over").focus();
    const times = (await page.evaluate(`(async () => {
      const over = document.querySelector(".u-over");
      const times = [];
      for (let i = 0; i < 15; i++) {
        const start = performance.now();
        over.dispatchEvent(new KeyboardEvent("keydown", { key: i % 3 ? "ArrowLeft" : "PageDown" }));
        void document.body.offsetHeight;
        times.push(performance.now() - start);
        await new Promise(requestAnimationFrame);
      }
      return times.sort((a, b) => a - b);
    })()`)) as number[];
    console.log(
      `opened in ${opened.toFixed(0)} ms, a moment in ${times[7].toFixed(1)} ms (at most ${times[14].toFixed(1)})`,
    );
  });
});
