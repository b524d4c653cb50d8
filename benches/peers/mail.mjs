// The work that all peers of benches/compare do: whoever is due, what each gets, and nodemailer's pool to hand it over.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [file, store, smtp, connections, size] = process.argv.slice(2);

/// Where the queue keeps its jobs: a port of Redis, or an address of PostgreSQL.
export const STORE = store;
export const CONNECTIONS = Number(connections);

/// From $NODE_PATH.
export const need = createRequire(`${process.env.NODE_PATH}/`);

/// Each participant who is told: a job.
export function due() {
  return JSON.parse(readFileSync(file)).flatMap((session) =>
    session.Participants.filter((person) => person.ShouldAutoDeliverCode === "E").map((person) => ({ start: session.ScheduleTs, person })));
}

export function pool() {
  return need("nodemailer").createTransport({ pool: true, host: "127.0.0.1", port: smtp, maxConnections: CONNECTIONS, maxMessages: Infinity, ignoreTLS: true });
}

// As many bytes as ours, once nodemailer has added its headers and encodings.
const filler = "Please join five minutes before the start, from a quiet room.\n".repeat(Math.max(0, (size - 2500) / 126) | 0);
const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

export function message({ start, person }) {
  const when = new Intl.DateTimeFormat("en-US", { dateStyle: "full", timeStyle: "long", timeZone: "America/New_York" }).format(new Date(`${start}Z`));
  const code = String(person.ConnectCode).replace(/(...)(?=.)/g, "$1-");
  const text = `Hello ${person.ParticipantFullName},\n\nyour video session is on ${when}.\nYour connect code: ${code}\n\n`;
  return {
    from: "Lakeside Telehealth <sessions@lakeside.example>", to: person.ParticipantEmailAddress,
    messageId: `<${person.ParticipationId}@lakeside.example>`, subject: `Your video session: ${when}`,
    text: text + filler, html: `<p>${escape(text).replaceAll("\n", "<br>")}</p><p>${filler}</p>`,
  };
}
