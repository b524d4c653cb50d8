// The morning of a front desk: what stands on the pages after a night in which the mail server was down, and what somebody does about it.
//
//   node morning.mjs PLAN.json     { base, user, password, pictures, chromium, at_hand, bad, returned, moved, absent, part }
//
// In two parts: while the server is down (`part` is "down"), and when it is back ("up"). All deeds are done without a script and, in the first part,
// without a mouse: Tab, letters and Enter alone. Each page is looked at by axe-core at two widths, in light and dark. Prints one JSON object.
import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.PUNCTUAL_TOOLS + "/node/");
const { chromium } = require("playwright-core");
const { HtmlValidate } = require("html-validate");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
mkdirSync(plan.pictures, { recursive: true });
const validator = new HtmlValidate({
  extends: ["html-validate:recommended", "html-validate:a11y"],
  rules: { "long-title": "off", "no-trailing-whitespace": "off", "no-redundant-role": "off", "tel-non-breaking": "off" },
});
const seen = { axe: [], html: [], wide: [], console: [], looked: 0, pages: {} };
const browser = await chromium.launch({ executablePath: plan.chromium, args: ["--no-sandbox", "--disable-gpu"] });
const sizes = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

async function logIn(page) {
  await page.goto(plan.base + "/login");
  await page.getByLabel("Name").fill(plan.user);
  await page.getByLabel("Password").fill(plan.password);
  await page.getByRole("button", { name: "Log in" }).click();
}

async function look(page, name, how) {
  seen.looked += 1;
  await page.screenshot({ path: `${plan.pictures}/morning-${name}-${how}.png`, fullPage: true });
  await page.evaluate(axe);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const result = await page.evaluate((runOnly) => globalThis.axe.run(document, { iframes: false, runOnly }), tags);
  for (const violation of result.violations) seen.axe.push(`${name}-${how}: ${violation.id}: ${violation.nodes.map((n) => n.target.join(" ")).join("; ")}`);
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  if (wide > width) seen.wide.push(`${name}-${how}: ${wide} > ${width}`);
  if (how === "desktop-light") {
    const report = await validator.validateString(await (await page.request.get(page.url())).text());
    for (const file of report.results) for (const m of file.messages) seen.html.push(`${name}:${m.line}: ${m.ruleId}: ${m.message}`);
  }
}

async function everywhere(paths) {
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport, colorScheme, isMobile: size === "phone" });
      context.setDefaultTimeout(15000);
      const page = await context.newPage();
      page.on("console", (message) => message.type() === "error" && !message.location().url.endsWith("/favicon.ico") && seen.console.push(message.text()));
      await logIn(page);
      for (const [name, path] of Object.entries(paths)) {
        const answer = await page.goto(plan.base + path);
        if (answer.status() !== 200) seen.console.push(`${path}: ${answer.status()}`);
        await look(page, name, `${size}-${colorScheme}`);
      }
      await context.close();
    }
  }
}

// Tab, until what has the focus says that.
async function reach(page, name) {
  for (let n = 0; n < 120; n += 1) {
    await page.keyboard.press("Tab");
    const [says, outline] = await page.evaluate(() => {
      const on = document.activeElement;
      const style = getComputedStyle(on);
      return [on.getAttribute("aria-label") || on.innerText || on.name || "", style.outlineStyle !== "none" || style.boxShadow !== "none"];
    });
    if (says.trim().startsWith(name)) {
      if (!outline) seen.axe.push(`${page.url()}: nobody sees that ${name} has the focus`);
      return;
    }
  }
  throw new Error(`${page.url()}: Tab never comes to ${name}`);
}

async function press(page, name) {
  await reach(page, name);
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.keyboard.press("Enter")]);
}

const text = async (page) => (await page.locator("main").innerText()).replace(/\s+/g, " ");
const context = await browser.newContext({ viewport: sizes.desktop, javaScriptEnabled: true });
context.setDefaultTimeout(15000);
const page = await context.newPage();
page.on("console", (message) => message.type() === "error" && !message.location().url.endsWith("/favicon.ico") && seen.console.push(message.text()));

if (plan.part === "down") {
  await everywhere({ sessions: "/?days=2", unreached: "/unreachable", decisions: "/attention", session: `/sessions/${plan.at_hand.session}`, servers: "/servers" });
  // She opens the pages.
  await logIn(page);
  seen.pages.sessions = await text(page);
  // She calls whoever needs it: with the keyboard alone.
  await press(page, "Not reached");
  seen.pages.unreached = await text(page);
  seen.pages.tel = await page.locator("a[href^='tel:']").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  await press(page, `${plan.bad.name} was called`);
  await reach(page, "reason");
  await page.keyboard.type("new address by phone");
  await press(page, "I called them");
  seen.pages.called = await text(page);
  // The move: the one who is told by phone, and the undo.
  await page.goto(`${plan.base}/notices/${plan.moved.key}`);
  await press(page, "Told by phone");
  seen.pages.asked = await text(page);
  await press(page, "I told them");
  seen.pages.told = await text(page);
  await press(page, "Undo");
  seen.pages.undone = await text(page);
  await press(page, "Do not send");
  await press(page, "Leave it as it is");
  seen.pages.left = await text(page);
  // The record with an error.
  await page.goto(`${plan.base}/sessions/${plan.bad.session}`);
  seen.pages.bad = await text(page);
} else {
  await logIn(page);
  seen.pages.sessions = await text(page);
  // The address that came back: sent again to the right one.
  await page.goto(`${plan.base}/notices/${plan.returned.key}`);
  seen.pages.returned = await text(page);
  await page.getByRole("link", { name: "Send again" }).click();
  seen.pages.again = await text(page);
  await page.getByLabel("To another e-mail address").fill(plan.returned.to);
  await page.getByRole("button", { name: "Send again" }).click();
  seen.pages.sent = await text(page);
  // Who has not come: reminded now, if they were not told a moment ago; then they are called.
  await page.goto(`${plan.base}/sessions/${plan.absent.session}/${plan.absent.person}`);
  seen.pages.absent = await text(page);
  await page.getByRole("link", { name: "Remind now" }).click();
  seen.pages.reminded = await text(page);
  await page.goto(`${plan.base}/sessions/${plan.absent.session}/${plan.absent.person}`);
  await page.getByRole("link", { name: "I called them" }).click();
  await page.getByLabel("What was agreed?").fill("comes in five minutes");
  await page.getByRole("button", { name: "I called them" }).click();
  seen.pages.rung = await text(page);
  await page.goto(`${plan.base}/history?who=jane`);
  seen.pages.history = await text(page);
  await everywhere({ "after-sessions": "/?days=2", "after-unreached": "/unreachable", history: "/history" });
}
await browser.close();
console.log(JSON.stringify(seen));
