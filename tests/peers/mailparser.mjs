// Reads a JSON array of messages (bytes as Latin-1) from standard input; prints what mailparser sees, one JSON object a line.
// Argument: the node_modules folder.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/");
const { simpleParser } = require("mailparser");

for (const raw of JSON.parse(readFileSync(0, "utf8"))) {
  const mail = await simpleParser(Buffer.from(raw, "latin1"), { skipHtmlToText: true, skipTextToHtml: true });
  console.log(
    JSON.stringify({
      subject: mail.subject,
      from: mail.from?.value ?? [],
      to: mail.to?.value ?? [],
      cc: mail.cc?.value ?? [],
      bcc: mail.bcc?.value ?? [],
      message_id: mail.messageId,
      date: mail.date,
      text: mail.text ?? null,
      html: mail.html || null,
      header_keys: [...mail.headers.keys()],
      attachments: mail.attachments.map((a) => ({ type: a.contentType, method: a.headers.get("content-type")?.params?.method, text: a.content.toString("utf8") })),
    }),
  );
}
