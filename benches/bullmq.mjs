// What benches/compare --peers times: the same messages by a durable queue of Node's world. Each participant due is a job in Redis; a worker
// renders and sends it over nodemailer's pool.   node bullmq.mjs SESSIONS REDIS_PORT SMTP_PORT CONNECTIONS SIZE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(`${process.env.NODE_PATH}/`);
const { Queue, Worker } = require("bullmq");
const nodemailer = require("nodemailer");

const [file, redis, smtp, connections, size] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(redis), maxRetriesPerRequest: null };
const due = JSON.parse(readFileSync(file)).flatMap((session) =>
  session.Participants.filter((person) => person.ShouldAutoDeliverCode === "E").map((person) => ({ start: session.ScheduleTs, person })));

// As many bytes as ours, once nodemailer has added its headers and encodings.
const filler = "Please join five minutes before the start, from a quiet room.\n".repeat(Math.max(0, (size - 2500) / 126) | 0);
const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function message({ start, person }) {
  const when = new Intl.DateTimeFormat("en-US", { dateStyle: "full", timeStyle: "long", timeZone: "America/New_York" }).format(new Date(`${start}Z`));
  const code = String(person.ConnectCode).replace(/(...)(?=.)/g, "$1-");
  const text = `Hello ${person.ParticipantFullName},\n\nyour video session is on ${when}.\nYour connect code: ${code}\n\n`;
  return {
    from: "Lakeside Telehealth <sessions@lakeside.example>", to: person.ParticipantEmailAddress,
    messageId: `<${person.ParticipationId}@lakeside.example>`, subject: `Your video session: ${when}`,
    text: text + filler, html: `<p>${escape(text).replaceAll("\n", "<br>")}</p><p>${filler}</p>`,
  };
}

const transport = nodemailer.createTransport({ pool: true, host: "127.0.0.1", port: smtp, maxConnections: Number(connections), maxMessages: Infinity, ignoreTLS: true });
const queue = new Queue("mail", { connection });
await queue.addBulk(due.map((data) => ({ name: "invite", data, opts: { jobId: `invite-${data.person.ParticipationId}` } })));
let left = due.length;
const worker = new Worker("mail", async (job) => { await transport.sendMail(message(job.data)); }, { connection, concurrency: Number(connections) });
worker.on("completed", async () => {
  left -= 1;
  if (left > 0) return;
  await worker.close();
  await queue.close();
  transport.close();
});
worker.on("failed", (_, error) => { console.error(error.message); process.exit(1); });
