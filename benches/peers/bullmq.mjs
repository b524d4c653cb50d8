// A job in Redis for each participant, handed over by a worker.   node bullmq.mjs SESSIONS REDIS_PORT SMTP_PORT CONNECTIONS SIZE
import { CONNECTIONS, STORE, due, message, need, pool } from "./mail.mjs";
const { Queue, Worker } = need("bullmq");

const connection = { host: "127.0.0.1", port: Number(STORE), maxRetriesPerRequest: null };
const [jobs, transport] = [due(), pool()];
const queue = new Queue("mail", { connection });
await queue.addBulk(jobs.map((data) => ({ name: "invite", data, opts: { jobId: `invite-${data.person.ParticipationId}` } })));
let left = jobs.length;
const worker = new Worker("mail", async (job) => { await transport.sendMail(message(job.data)); }, { connection, concurrency: CONNECTIONS });
worker.on("completed", async () => {
  left -= 1;
  if (left > 0) return;
  await worker.close();
  await queue.close();
  transport.close();
});
worker.on("failed", (_, error) => { console.error(error.message); process.exit(1); });
