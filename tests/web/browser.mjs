// SPDX-License-Identifier: Apache-2.0
// Opens a hub folder's page in headless Chromium and asks it questions as a person would.
//
//   node browser.mjs HUB_FOLDER CHROMIUM CASES_JSON [SCREENSHOTS_FOLDER]
//
// CASES_JSON holds [{question, context, file}], `file` being the place of a model file in the
// page's list.  Prints JSON: each answer with its code points, every address that was asked for, what
// the page says when it is stopped, and what it says of a library whose content has changed.
// The libraries come from node_modules under the addresses that the page names, so that the browser
// checks their integrity; any other address outside this machine is refused.

import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [hub, executablePath, casesFile, screenshots] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(casesFile, "utf8"));
const modules = join(dirname(fileURLToPath(import.meta.url)), "node_modules");
const TYPES = {
  ".html": "text/html", ".json": "application/json", ".mjs": "text/javascript",
  ".js": "text/javascript", ".wasm": "application/wasm", ".txt": "text/plain",
};
const CDN = "https://cdn.jsdelivr.net/npm/";
const LIBRARIES = ["transformers.web.min.js", "ort.wasm.bundle.min.mjs", "threaded.wasm"];
const TIMEOUT_MS = 120_000;

const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  const file = join(hub, normalize(path === "/" ? "/index.html" : path));
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  response.writeHead(200, { "Content-Type": type, "Content-Length": found.size });
  createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const home = `http://127.0.0.1:${server.address().port}/`;

/**
 * Serves the pinned packages from node_modules, and refuses every other address.
 *
 * `tampered` is the ending of a file of theirs that gets another byte.
 */
async function route(context, tampered) {
  await context.route("**/*", async (handler) => {
    const url = handler.request().url();
    addresses.push({ url: url.replace(home, "/"), method: handler.request().method() });
    if (url.startsWith(home)) return handler.continue();
    const [, name, path] = /^((?:@[^/]+\/)?[^/@]+)@[^/]+\/(.*)$/.exec(url.replace(CDN, "")) ?? [];
    if (!url.startsWith(CDN) || !name) return handler.abort();
    const body = readFileSync(join(modules, name, path));
    return handler.fulfill({
      body: tampered && path.endsWith(tampered) ? Buffer.concat([body, Buffer.from("\n")]) : body,
      headers: { "Access-Control-Allow-Origin": "*" },
      contentType: TYPES[extname(path)],
    });
  });
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const addresses = [];
const problems = [];

/** A page with the given look, opened. */
async function open(options = {}, tampered = null) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  await route(context, tampered);
  const page = await context.newPage();
  if (!tampered) {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(String(error)));
  }
  await page.goto(home);
  await page.waitForSelector("#submit:enabled");
  return page;
}

/** Asks one question through the form. */
async function ask(page, { question, context, file }) {
  await page.selectOption("#file", String(file));
  await page.fill("#passage", context);
  await page.fill("#question", question);
  await page.click("#submit");
  const options = { timeout: TIMEOUT_MS };
  await page.waitForSelector("#form:not([aria-busy])", { ...options, state: "visible" });
  await page.waitForSelector("#result:not([hidden]), #error:not([hidden])", options);
  return page.evaluate(() => {
    const result = document.getElementById("result");
    const error = document.getElementById("error");
    if (!error.hidden) return { error: error.textContent };
    const { start, end, score } = result.dataset;
    return {
      start: Number(start),
      end: Number(end),
      score: Number(score),
      text: result.querySelector("mark")?.textContent ?? "",
      shown: document.getElementById("answer").textContent,
      passage: document.getElementById("marked").textContent,
      windows: Number(document.getElementById("windows").textContent),
      time: document.getElementById("time").textContent,
      status: document.getElementById("status").textContent,
    };
  });
}

/** What the page says when its button is pressed again while the model reads. */
async function stop(page, { question, context }) {
  await page.fill("#passage", Array(200).fill(context).join("\n"));
  await page.fill("#question", question);
  await page.click("#submit");
  await page.waitForFunction(() => document.getElementById("status").textContent.includes(" of "));
  await page.click("#submit");
  await page.waitForSelector("#form:not([aria-busy])", { timeout: TIMEOUT_MS });
  return page.textContent("#status");
}

const answers = [];
const tampered = {};
let stopped;
try {
  const page = await open();
  for (const one of cases) answers.push(await ask(page, one));
  stopped = await stop(page, cases[0]);
  for (const file of LIBRARIES) {
    tampered[file] = (await ask(await open({}, file), cases[0])).error;
  }
  if (screenshots) {
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [360, 1280]) {
        const shot = await open({ colorScheme, viewport: { width, height: 800 } });
        const path = (name) => {
          return { path: join(screenshots, `${name}-${width}-${colorScheme}.png`), fullPage: true };
        };
        await shot.screenshot(path("empty"));
        await ask(shot, cases[0]);
        await shot.screenshot(path("answer"));
        const wide = await shot.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) problems.push(`the page is ${wide} px wide at ${width} px`);
      }
    }
  }
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify({ answers, addresses, problems, stopped, tampered }));
