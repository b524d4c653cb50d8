#!/usr/bin/env -S node --experimental-websocket
// Makes the pictures of the pages, from the demonstration, with headless Chromium. Nothing but Node.js 20 or later and Chromium is needed.
//
//   docs/pictures/make.mjs [PROGRAM [FOLDER]]     default: target/debug/punctual, target/pictures
//
// The best of them are in docs/pictures; look at each before it is copied there.
//
// Where a size ends in !, the demonstration's own buttons are in the picture.
//
// The demonstration plays on a Monday morning, so that the pictures are alike whenever they are made.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const program = resolve(process.argv[2] ?? "target/debug/punctual");
const folder = process.argv[3] ?? "target/pictures";
const work = mkdtempSync(join(tmpdir(), "pictures-"));
mkdirSync(folder, { recursive: true });
const sizes = { desktop: [1180, 760], low: [1180, 580], tall: [1180, 1180], phone: [390, 844] };
const children = [];

function start(command, args, wanted, stream, settings = {}) {
  const env = { ...process.env, ...settings };
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], cwd: work, env });
  children.push(child);
  return new Promise((resolve, reject) => {
    let said = "";
    child[stream].on("data", (bytes) => {
      said += bytes;
      const found = said.match(wanted);
      if (found) resolve(found[0]);
    });
    child.on("exit", (code) => reject(new Error(`${command} ended with ${code}: ${said}`)));
  });
}

// The DevTools protocol, as far as it is needed.
class Browser {
  constructor(socket) {
    this.socket = socket;
    this.next = 1;
    this.waiting = new Map();
    this.events = [];
    socket.onmessage = (message) => {
      const said = JSON.parse(message.data);
      if (said.id) this.waiting.get(said.id)?.(said);
      else this.events.filter((e) => e.method === said.method).forEach((e) => e.resolve());
    };
  }
  send(method, params = {}) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, (said) => (said.error ? reject(new Error(`${method}: ${said.error.message}`)) : resolve(said.result)));
      this.socket.send(JSON.stringify({ id, method, params, sessionId: this.session }));
    });
  }
  once(method) {
    return new Promise((resolve) => this.events.push({ method, resolve }));
  }
  async open(url) {
    const loaded = this.once("Page.loadEventFired");
    await this.send("Page.navigate", { url });
    await loaded;
    this.events = [];
  }
  async run(expression) {
    return (await this.send("Runtime.evaluate", { expression, returnByValue: true })).result.value;
  }
  async press(selector) {
    const loaded = this.once("Page.loadEventFired");
    await this.run(`document.querySelector(${JSON.stringify(selector)}).click()`);
    await loaded;
    this.events = [];
  }
  // Until a page says it.
  async see(path, words) {
    for (let n = 0; n < 40; n++) {
      await this.open(base + path);
      if (await this.run(`document.body.innerText.includes(${JSON.stringify(words)})`)) return;
      await sleep(1000);
    }
    throw new Error(`${path} does not say ${words}`);
  }
  async link(selector) {
    return base + (await this.run(`document.querySelector(${JSON.stringify(selector)}).getAttribute("href")`));
  }
  async type(selector, words) {
    await this.run(`document.querySelector(${JSON.stringify(selector)}).value = ${JSON.stringify(words)}`);
  }
  async shoot(name, path, size, scheme, whole = false) {
    const [width, height] = sizes[size.replace("!", "")];
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: size.startsWith("phone") });
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    if (path) await this.open(base + path);
    if (!size.endsWith("!")) await this.run("document.querySelector('form.demo')?.remove()");
    await sleep(400);
    const wide = await this.run("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    if (wide > 0) console.error(`${name}: wider than its screen by ${wide}`);
    const picture = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: whole });
    const bytes = Buffer.from(picture.data, "base64");
    writeFileSync(join(folder, `${name}.png`), bytes);
    console.log(`${name}.png  ${Math.round(bytes.length / 1024)} kB`);
  }
}

// What a mail server sends back (RFC 3464), of a mail that the demonstration wrote.
function comesBack(address) {
  const folder = join(work, "demo/outbox/mail");
  const mails = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  const mail = mails.find((text) => text.includes(`<${address}>`));
  const [reference] = mail.match(/^X-Punctual-Ref: .*$/m);
  const report = [
    "From: MAILER-DAEMON@mx.example.org", "To: sessions@lakeside.example", "Subject: Undelivered Mail Returned to Sender", "MIME-Version: 1.0",
    'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "", "--b", "Content-Type: text/plain", "", "It did not arrive.", "",
    "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.example.org", "", `Final-Recipient: rfc822; ${address}`,
    "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 no such user", "", "--b", "Content-Type: text/rfc822-headers", "",
    reference, `To: ${address}`, "", "--b--", "",
  ];
  writeFileSync(join(work, "maildir/new/1"), report.join("\r\n"));
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let base;
try {
  for (const part of ["maildir/new", "maildir/cur", "maildir/tmp"]) mkdirSync(join(work, part), { recursive: true });
  const settings = {
    PUNCTUAL__EMAIL__BOUNCE_MAILDIR: "../maildir",
    PUNCTUAL__EMAIL__BOUNCE_POLL: "* * * * * *",
  };
  const link = await start(program, ["demo", "--serve", "--dir", "demo", "--at", "2026-11-30T13:20:00Z", "--log", "error"], /http:\S+\/demo\?key=\S+/, "stdout", settings);
  base = new URL(link).origin;
  const chromium = process.env.CHROMIUM ?? "chromium";
  const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", `--user-data-dir=${join(work, "browser")}`, "--remote-debugging-port=0", "about:blank"];
  const devtools = await start(chromium, flags, /ws:\/\/\S+/, "stderr");
  const socket = new WebSocket(devtools);
  await new Promise((resolve) => (socket.onopen = resolve));
  const browser = new Browser(socket);
  const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
  browser.session = (await browser.send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  await browser.send("Page.enable");
  await browser.open(link);

  await browser.shoot("sessions", "/", "desktop!", "light");
  await browser.shoot("sessions-phone-dark", null, "phone", "dark");
  await browser.shoot("decisions", "/attention", "desktop", "light");
  await browser.shoot("not-reached", "/unreachable", "desktop", "light");
  await browser.shoot("not-reached-phone", null, "phone", "light");
  await browser.shoot("called", "/sessions/4103/5124/called", "desktop", "light");
  await browser.shoot("person-dark", "/sessions/4101/5103", "desktop", "dark");
  await browser.shoot("messages", "/messages", "desktop", "light");
  await browser.shoot("history-dark", "/history", "desktop", "dark");
  await browser.shoot("servers", "/servers", "desktop", "light");
  // A message as its reader sees it.
  await browser.open(base + "/sessions/4102/5112");
  const mail = await browser.run("document.querySelector('.steps .good a').getAttribute('href')");
  await browser.open(base + mail);
  await browser.press('form[action$="/reveal"] button');
  await browser.run("document.querySelector('#message').scrollIntoView()");
  await browser.shoot("message", null, "desktop", "light");
  await browser.open(base + "/sessions/4101/5103");
  const text = await browser.run("document.querySelector('.steps .good a').getAttribute('href')");
  await browser.open(base + text);
  await browser.press('form[action$="/reveal"] button');
  await browser.shoot("text-phone", null, "phone", "light", true);
  // What somebody at the front desk does.
  await browser.open(base + "/");
  await browser.type("#q", "trevor");
  await browser.press("form.find button");
  await browser.shoot("found", null, "low", "light");
  await browser.shoot("remind", "/sessions/4103/5122/remind", "low", "light");
  await browser.open(base + "/sessions/4104/5132");
  await browser.open(await browser.link(".steps .step:not(.good) a"));
  await browser.open(await browser.link('a[href*="/cancel_told"]'));
  await browser.shoot("asked", null, "low", "light");
  await browser.type("#reason", "called at 8:20, they know");
  await browser.press("form.confirm button");
  await browser.shoot("undo", null, "low", "light");
  await browser.shoot("texts", "/templates/edit?file=en-US%2Freminder%2Fsubject.txt", "tall", "light");
  // A mail comes back.
  comesBack("priya@example.com");
  await browser.see("/sessions/4114/41141", "Came back");
  await browser.shoot("came-back", null, "desktop", "light");
  await browser.open(await browser.link(".steps .bad a"));
  await browser.open(await browser.link('a[href$="/resend"]'));
  await browser.shoot("resend", null, "desktop", "light");
  await browser.shoot("blocked", "/blocked", "low", "light");
  await browser.shoot("history", "/history?who=demo", "desktop", "light");
  await browser.shoot("users", "/users", "tall", "light");
  await browser.shoot("password-phone", "/password", "phone", "dark");
  // The mail server breaks, a record is spoiled, and two hours pass.
  await browser.open(base + "/");
  await browser.press('button[formaction="/demo/mail"]');
  await browser.press('button[formaction="/demo/hour"]');
  await browser.press('button[formaction="/demo/record"]');
  for (let n = 0; n < 40; n++) {
    await sleep(2000);
    await browser.open(base + "/");
    if (await browser.run("!!document.querySelector('.banner')")) break;
  }
  await sleep(3000);
  await browser.shoot("outage", "/", "desktop", "light");
  await browser.shoot("outage-dark", null, "desktop", "dark");
  await browser.shoot("outage-phone", null, "phone", "light");
  await browser.shoot("servers-outage", "/servers", "desktop", "light");
  await browser.shoot("record", "/sessions/4103", "desktop", "light");
  await browser.shoot("to-call", "/unreachable", "desktop", "dark");
  await browser.shoot("decisions-phone-dark", "/attention", "phone", "dark");
} finally {
  for (const child of children.reverse()) {
    child.removeAllListeners("exit");
    child.kill("SIGINT");
  }
  await sleep(1000);
  for (const child of children) child.kill("SIGKILL");
  rmSync(work, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(0);
