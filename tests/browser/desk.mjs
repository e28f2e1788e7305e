// An operations desk in a real browser: a wave comes in while Today is open, a held file is accepted, files are searched;
// on a phone, in the dark, by the keyboard alone, and by the rules of accessibility.
//
//   node desk.mjs URL INCOMING TOKEN MODULES CHROMIUM [FOLDER for pictures]
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [url, incoming, token, modules, executablePath, pictures] = process.argv.slice(2);
const require = createRequire(join(modules, "/"));
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

function submit(name, text) {
  writeFileSync(join(incoming, `.${name}.part`), text);
  renameSync(join(incoming, `.${name}.part`), join(incoming, name));
}
function sales(store, count) {
  const line = (item) => `${store}\t10.00\t4\tITEM${item}\t2026-03-01\n`;
  return Array.from({ length: count }, (_, item) => line(item)).join("");
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const complaints = [];
async function context(options) {
  const made = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  made.setDefaultTimeout(60000);
  made.on("weberror", (error) => complaints.push(String(error.error())));
  made.on("console", (message) => {
    // A refused action is answered with a page and its status, which the browser reports too.
    const isExpected = /status of 401|status of 409/.test(message.text());
    if (message.type() === "error" && !isExpected) complaints.push(message.text());
  });
  made.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`a request to ${request.url()}`);
  });
  return made;
}
async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).slice(0, 3).join(" | ")}`);
  assert.deepEqual(told, [], what);
}

// A wave comes in while Today is open.
const desk = await context({ colorScheme: "light" });
const page = await desk.newPage();
await page.goto(url);
await page.getByText("No file has come so far").waitFor();
await page.evaluate(() => (globalThis.unloaded = false));
await page.getByText("live", { exact: true }).waitFor();
submit("IL-1.tdf", sales("1", 40));
submit("IL-2.tdf", sales("2", 40));
const card = page.locator("article.card");
await card.getByText("2 of 3 stores", { exact: false }).first().waitFor();
await card.getByText("store 3: no file so far").waitFor();
submit("IL-3.tdf", sales("3", 40));
await card.getByText("complete since").waitFor();
await card.getByText("COMPLETED").waitFor();
assert.equal(await page.evaluate(() => globalThis.unloaded), false, "the page was not loaded again");

// What somebody has opened stays open.
if ((await card.locator("details").getAttribute("open")) === null) await card.locator("summary").click();
assert.equal(await card.locator("details").getAttribute("open"), "");
submit("IL-1.tdf", sales("1", 2));
await page.getByText("Needs a person").waitFor();
assert.equal(await card.locator("details").getAttribute("open"), "", "it is still open");
if (pictures) await page.screenshot({ path: join(pictures, "today.png") });

// The stream closes while the tab is hidden.
const hidden = (is) =>
  page.evaluate((is) => {
    Object.defineProperty(document, "hidden", { value: is, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, is);
const closed = page.waitForEvent("requestfailed", (request) => request.url().includes("/live"));
await hidden(true);
await closed;
const opened = page.waitForRequest((request) => request.url().includes("/live"));
await hidden(false);
await opened;

// A held file: refused without the token, accepted with it.
await page.getByRole("link", { name: "IL-1.tdf" }).first().click();
await page.getByRole("heading", { name: "Held: it does not count" }).waitFor();
await page.getByRole("button", { name: "Accept", exact: true }).click();
await page.getByRole("heading", { name: "Sign in first" }).waitFor();
await page.goBack();
await page.getByRole("link", { name: "Sign in to act" }).click();
await page.getByLabel("Token").fill("a wrong token, long enough");
await page.getByRole("button", { name: "Sign in" }).click();
await page.getByText("This is not the token.").waitFor();
await page.getByLabel("Token").fill(token);
await page.getByRole("button", { name: "Sign in" }).click();
await page.getByRole("button", { name: "Accept", exact: true }).click();
await page.getByText("its held version is in force").waitFor();
await page.getByRole("button", { name: "Sign out" }).waitFor();

// Search, filters, and the way back.
await page.goto(`${url}/files`);
await page.getByRole("link", { name: "IL-2.tdf" }).waitFor();
await page.getByLabel("Name").fill("il-3");
await page.getByLabel("Name").press("Enter");
await page.waitForURL(/q=il-3/);
assert.equal(await page.getByRole("link", { name: "IL-2.tdf" }).count(), 0);
await page.goBack();
await page.getByRole("link", { name: "IL-2.tdf" }).waitFor();
await page.getByLabel("Status").selectOption("rejected");
await page.getByRole("button", { name: "Show" }).click();
await page.getByText("No file is like that.").waitFor();

// By the keyboard alone.
await page.goto(url);
await page.keyboard.press("Tab");
assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the page");
await page.keyboard.press("Enter");
assert.equal(await page.evaluate(() => document.activeElement.id || location.hash), "main");
await page.goto(url);
for (let presses = 0; presses < 12; presses += 1) {
  await page.keyboard.press("Tab");
  if ((await page.evaluate(() => document.activeElement.textContent)) === "Runs") break;
}
await page.keyboard.press("Enter");
await page.waitForURL(`${url}/runs`);

// Every page: by the rules of accessibility in light and dark, and on a phone.
const run = await page.locator("main tbody a").first().getAttribute("href");
const pages = ["/", "/files", "/files/unmatched", "/file?path=IL-1.tdf", "/jobs", "/jobs/IL", "/runs", run, "/stores?job=IL",
  "/row", "/row?store=1&item=ITEM1&date=2026-03-01", "/store", "/store?store=1&since=2026-03-01", `${run}/rows`, "/sql",
  "/sql?q=SELECT+*+FROM+files", "/sql?q=DELETE", "/sign-in", "/nowhere"];
const state = await desk.storageState();
for (const colorScheme of ["light", "dark"]) {
  const wide = await context({ colorScheme, storageState: state });
  const looked = await wide.newPage();
  for (const path of pages) {
    if (path === "/nowhere") continue;
    await looked.goto(url + path);
    await accessible(looked, `${path} in ${colorScheme}`);
  }
  await looked.goto(url);
  const back = await looked.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const isDark = Number(back.match(/\d+/)[0]) < 128;
  assert.equal(isDark, colorScheme === "dark", back);
  await wide.close();
}
const phone = await context({ viewport: { width: 360, height: 740 }, storageState: state });
const small = await phone.newPage();
for (const path of pages.slice(0, -1)) {
  await small.goto(url + path);
  const width = await small.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `${path} is ${width} wide on a phone`);
}
if (pictures) {
  await small.goto(url);
  await small.screenshot({ path: join(pictures, "phone.png") });
  await page.goto(`${url}/store?store=1&since=2026-03-01`);
  await page.screenshot({ path: join(pictures, "store.png") });
}
assert.deepEqual(complaints, [], "the browser has nothing to complain about");
await browser.close();
console.log("all as it should be");
