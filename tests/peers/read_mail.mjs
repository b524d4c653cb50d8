// Reads messages (files named on standard input, one a line) with mailparser, and prints what it saw, one JSON object a line.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const require = createRequire(process.env.PUNCTUAL_NODE + "/");
const { simpleParser } = require("mailparser");
for (const file of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const mail = await simpleParser(readFileSync(file), { skipTextToHtml: true });
  console.log(JSON.stringify({
    subject: mail.subject, from: mail.from?.text, to: mail.to?.value, messageId: mail.messageId, text: mail.text, html: mail.html,
    attachments: mail.attachments.map((a) => ({ type: a.contentType, content: a.content.toString("utf8") })),
    headers: [...mail.headerLines.map((h) => h.key)],
  }));
}
