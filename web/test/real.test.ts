/**
 * Pages of real traces, which tests/integration/test_html.py makes: PYMEMTRACE_PAGES is a list of them, as JSON, with
 * what `pymemtrace report` says of each.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { launch } from "./chromium.ts";

interface Real {
  path: string;
  closing: string;
  /** The moment of the peak. */
  seconds: number;
}

const pages = JSON.parse(process.env.PYMEMTRACE_PAGES ?? "[]") as Real[];
let browser: Browser;

before(async () => {
  if (pages.length) browser = await launch();
});

after(() => browser?.close());

for (const { path, closing, seconds } of pages) {
  test(`opens at the peak, with the closing line: ${path}`, async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
    const noise: string[] = [];
    page.on("console", (message) => noise.push(message.text()));
    page.on("pageerror", (error) => noise.push(String(error)));
    page.on("request", (request) => {
      if (!/^(file|blob):/.test(request.url())) noise.push(request.url());
    });
    await page.goto(`file://${path}`);
    const when = (await page.locator(".when").textContent())!;
    assert.match(when, /\(peak\) · RSS /);
    assert.ok(Math.abs(parseFloat(when) - seconds) <= 0.0006, `${when}, not ${seconds} s`);
    assert.ok(closing.startsWith(`${/RSS .*$/.exec(when)![0]}: `), `${when}, not ${closing}`);
    assert.equal(await page.locator(".closing p").first().textContent(), closing);
    // Rows are drawn once it is known how much room they have.
    await page.locator(".table tbody tr").nth(2).waitFor({ state: "attached" });
    for (const name of ["Touched", "Released"]) await page.getByRole("radio", { name, exact: true }).check();
    await page.locator(".source tbody tr:not(.spacer)").first().waitFor();
    assert.equal(await page.evaluate("window.hacked"), undefined);
    assert.equal(await page.evaluate("document.scripts.length"), 2);
    assert.deepEqual(noise, []);
  });
}
