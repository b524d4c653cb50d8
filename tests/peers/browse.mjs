// A member of staff at a browser: Chromium, driven by Playwright. Prints one JSON object of what was seen.
//
//   node browse.mjs PLAN.json     { base, user, password, totp, held, text, session, person, pictures }
//
// Each page is looked at by axe-core (WCAG 2.2 A and AA, and best practice) and by html-validate; the deeds are done with scripts switched off.
import { readFileSync, mkdirSync } from "node:fs";
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(process.env.PUNCTUAL_TOOLS + "/node/");
const { chromium } = require("playwright-core");
const { HtmlValidate } = require("html-validate");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
mkdirSync(plan.pictures, { recursive: true });
const validator = new HtmlValidate({
  extends: ["html-validate:recommended", "html-validate:a11y"],
  rules: { "long-title": "off", "no-trailing-whitespace": "off", "no-redundant-role": "off", "tel-non-breaking": "off" }, // The style sheet keeps numbers on one line; copied, they are plain.
});
const seen = { axe: [], html: [], console: [], wide: [], pages: [], deeds: {} };

const browser = await chromium.launch({ executablePath: plan.chromium, args: ["--no-sandbox", "--disable-gpu"] });
const sizes = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

async function context(options) {
  const made = await browser.newContext({ ...options });
  made.setDefaultTimeout(15000);
  return made;
}

function watch(page) {
  page.on("console", (message) => message.type() === "error" && seen.console.push(message.text()));
  page.on("pageerror", (error) => seen.console.push(String(error)));
}

async function logIn(page, password = plan.password, user = plan.user, code = "") {
  await page.goto(plan.base + "/login");
  await page.getByLabel("Name").fill(user);
  await page.getByLabel("Password").fill(password);
  if (code) await page.getByLabel("Code of your app").fill(code);
  await page.getByRole("button", { name: "Log in" }).click();
}

// What an authenticator app shows half a minute from now (RFC 6238).
function nextCode(secret) {
  const bits = [...secret].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const step = Buffer.alloc(8);
  step.writeBigInt64BE(BigInt(Math.floor(Date.now() / 30000) + 1));
  const tag = createHmac("sha1", Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))).update(step).digest();
  return String((tag.readUInt32BE(tag[19] & 15) & 0x7fffffff) % 1e6).padStart(6, "0");
}

// Every page, in light and dark, on a desk and on a phone.
const paths = {
  sessions: "/?days=7",
  decisions: "/attention",
  unreached: "/unreachable",
  session: `/sessions/${plan.session}`,
  person: `/sessions/${plan.session}/${plan.person}`,
  mail: `/notices/${plan.held}`,
  text: `/notices/${plan.text}`,
  search: "/search?q=nobody",
  confirm: `/notices/${plan.held}/cancel`,
  messages: "/messages",
  history: "/history",
  blocked: "/blocked",
  servers: "/servers",
  users: "/users",
  password: "/password",
  texts: "/templates",
  template: "/templates/edit?file=en-US%2Finvite%2Fbody.html",
  problem: "/sessions/999999",
};
for (const [size, viewport] of Object.entries(sizes)) {
  for (const colorScheme of ["light", "dark"]) {
    const at = await context({ viewport, colorScheme, isMobile: size === "phone", deviceScaleFactor: 1 });
    const page = await at.newPage();
    watch(page);
    await page.goto(plan.base + "/login");
    await look(page, "login", `${size}-${colorScheme}`);
    await logIn(page);
    for (const [name, path] of Object.entries(paths)) {
      await page.goto(plan.base + path, { waitUntil: "load" });
      await look(page, name, `${size}-${colorScheme}`);
    }
    await at.close();
  }
}

async function look(page, name, how) {
  seen.pages.push(`${name}-${how}`);
  for (let n = 0; n < (await page.locator("iframe").count()); n++) {
    await page.locator("iframe").nth(n).scrollIntoViewIfNeeded(); // What was never in view is not painted.
    await page.frameLocator("iframe").nth(n).locator("body").innerText();
    await page.waitForTimeout(300);
  }
  await page.screenshot({ path: `${plan.pictures}/${name}-${how}.png`, fullPage: true });
  // The evaluation of a driver is not bound by the page's policy; a script of the page would be.
  await page.evaluate(axe);
  const result = await page.evaluate(() => globalThis.axe.run(document, { iframes: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const violation of result.violations) {
    seen.axe.push(`${name}-${how}: ${violation.id}: ${violation.nodes.map((n) => n.target.join(" ") + " " + n.failureSummary).join("; ")}`);
  }
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  if (wide > width) seen.wide.push(`${name}-${how}: ${wide} > ${width}`);
  if (how === "desktop-light") {
    const source = await (await page.request.get(page.url())).text();
    const report = await validator.validateString(source);
    for (const file of report.results) for (const m of file.messages) seen.html.push(`${name}:${m.line}:${m.column}: ${m.ruleId}: ${m.message}`);
  }
}

// The deeds, without scripts.
const at = await context({ viewport: sizes.desktop, javaScriptEnabled: false });
const page = await at.newPage();
watch(page);
await page.goto(plan.base + "/");
seen.deeds.sentTo = new URL(page.url()).pathname;
const consoleBefore = seen.console.length;
await logIn(page, "not the password");
seen.deeds.refused = await page.getByRole("alert").textContent();
seen.console.length = consoleBefore; // The browser reports the 401 as an error of its own.
await logIn(page);
seen.deeds.inside = await page.getByRole("heading", { level: 1 }).textContent();
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
seen.deeds.skipped = await page.waitForURL(/#content$/).then(() => true, () => false); // A browser under load goes there a moment later.

await page.getByRole("link", { name: "Decisions" }).click();
await page.getByRole("link", { name: /^Release/ }).first().click();
seen.deeds.asked = await page.getByRole("heading", { level: 1 }).textContent();
await page.getByRole("button", { name: "Send it" }).click();
await page.waitForURL(/attention/);
seen.deeds.afterRelease = new URL(page.url()).pathname;
await page.getByRole("link", { name: "It is right: accept all" }).click();
await page.getByRole("button", { name: "It is right: accept all" }).click();
seen.deeds.afterAccept = new URL(page.url()).pathname;

await page.goto(`${plan.base}/notices/${plan.mail}`);
const message = () => page.frameLocator("iframe").locator("body").innerText();
seen.deeds.masked = await message();
await page.getByRole("button", { name: "Show it with its code" }).click();
seen.deeds.revealed = await message();
await page.screenshot({ path: `${plan.pictures}/revealed.png`, fullPage: true });
await page.goto(`${plan.base}/notices/${plan.text}`);
seen.deeds.bubble = await page.locator(".bubble").innerText();
seen.deeds.segments = await page.locator(".phone .soft").innerText();

await page.getByLabel("Name, address, number").fill(String(plan.person));
await page.keyboard.press("Enter");
await page.waitForURL(/sessions/);
seen.deeds.found = new URL(page.url()).pathname;
await page.getByRole("button", { name: "Log out" }).click();
await page.goto(plan.base + "/attention");
seen.deeds.loggedOut = new URL(page.url()).pathname;
const code = nextCode(plan.totp.secret);
const place = () => new URL(page.url()).pathname;
await logIn(page, plan.password, plan.totp.user);
seen.deeds.withoutCode = place();
await logIn(page, plan.password, plan.totp.user, code);
seen.deeds.withCode = place();
await page.getByRole("button", { name: "Log out" }).click();
await logIn(page, plan.password, plan.totp.user, code);
seen.deeds.sameCode = place();
await browser.close();
seen.console = seen.console.filter((line) => !line.includes("401")); // Likewise; the last report comes after its page.
console.log(JSON.stringify(seen));
