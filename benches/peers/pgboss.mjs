// A job in PostgreSQL for each participant, handed over by pg-boss: several workers, each of which takes a batch.
//   node pgboss.mjs SESSIONS POSTGRES_URL SMTP_PORT CONNECTIONS SIZE
import { STORE, due, message, need, pool } from "./mail.mjs";
const PgBoss = need("pg-boss");

const boss = new PgBoss({ connectionString: STORE, max: 10, supervise: false, schedule: false });
boss.on("error", (error) => { console.error(error.message); process.exit(1); });
await boss.start();
await boss.createQueue("invite");
const [jobs, transport] = [due(), pool()];
for (let n = 0; n < jobs.length; n += 1000) {
  await boss.insert(jobs.slice(n, n + 1000).map((data) => ({ name: "invite", data, singletonKey: `invite-${data.person.ParticipationId}`, retryLimit: 0 })));
}
let left = jobs.length;
let finish;
const finished = new Promise((resolve) => { finish = resolve; });
for (let worker = 0; worker < 4; worker += 1) {
  await boss.work("invite", { batchSize: 500, pollingIntervalSeconds: 0.5 }, async (batch) => {
    await Promise.all(batch.map((job) => transport.sendMail(message(job.data))));
    left -= batch.length;
    if (left === 0) finish();
  });
}
await finished;
await boss.stop({ graceful: true, wait: true });
transport.close();
