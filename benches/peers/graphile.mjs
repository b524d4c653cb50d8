// A job in PostgreSQL for each participant, handed over by graphile-worker, with the batches that its documentation recommends.
//   node graphile.mjs SESSIONS POSTGRES_URL SMTP_PORT CONNECTIONS SIZE
import { CONNECTIONS, STORE, due, message, need, pool } from "./mail.mjs";
const { Logger, makeWorkerUtils, run } = need("graphile-worker");

const logger = new Logger(() => () => {});
const utils = await makeWorkerUtils({ connectionString: STORE, logger });
await utils.migrate();
const [jobs, transport] = [due(), pool()];
for (let n = 0; n < jobs.length; n += 1000) {
  await utils.addJobs(jobs.slice(n, n + 1000).map((payload) => ({ identifier: "invite", payload, jobKey: `invite-${payload.person.ParticipationId}`, maxAttempts: 1 })));
}
let left = jobs.length;
let finish;
const finished = new Promise((resolve) => { finish = resolve; });
const invite = async (job) => {
  await transport.sendMail(message(job));
  left -= 1;
  if (left === 0) finish();
};
const runner = await run({
  connectionString: STORE, concurrency: CONNECTIONS, maxPoolSize: 20, noHandleSignals: true, pollInterval: 200, logger,
  preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 1, failJobBatchDelay: 1 } }, taskList: { invite },
});
runner.events.on("job:failed", ({ error }) => { console.error(error.message); process.exit(1); });
await finished;
await runner.stop();
await utils.release();
transport.close();
