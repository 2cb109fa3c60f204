// Works with a mailbox with ImapFlow, which speaks whatever is offered (COMPRESS, CONDSTORE, QRESYNC, IDLE, …).
// Arguments: path of imapflow, port, TLS (starttls, implicit), user, password, number of messages in INBOX.
// Standard input: a message.
const fs = require("fs");
const assert = require("assert");
const [module_, port, tls, user, pass, count] = process.argv.slice(1);
const { ImapFlow } = require(module_);
const message = fs.readFileSync(0);

const connect = async () => {
  const client = new ImapFlow({
    host: "127.0.0.1",
    port: Number(port),
    secure: tls === "implicit",
    doSTARTTLS: tls === "starttls",
    tls: { rejectUnauthorized: false },
    auth: { user, pass },
    logger: false,
    qresync: true,
  });
  await client.connect();
  return client;
};

(async () => {
  const client = await connect();
  assert(client.capabilities.has("COMPRESS=DEFLATE"));
  const names = (await client.list()).map((mailbox) => mailbox.path);
  assert(names.includes("INBOX"), names);
  await client.mailboxOpen("INBOX");
  assert.equal(client.mailbox.exists, Number(count));
  let seen = 0;
  const query = { uid: true, flags: true, envelope: true, bodyStructure: true, threadId: true, size: true };
  for await (const found of client.fetch("1:*", query)) {
    assert(found.envelope.subject && found.bodyStructure.type && found.size > 0, found);
    seen += 1;
  }
  assert.equal(seen, Number(count));

  const other = await connect();
  await other.mailboxOpen("INBOX");
  const came = new Promise((resolve) => client.on("exists", resolve));
  const idle = client.idle();
  const { uid } = await other.append("INBOX", message, ["\\Seen", "$Forwarded"]);
  assert.equal((await came).count, Number(count) + 1);
  const { content } = await client.download(String(uid), undefined, { uid: true });
  const chunks = [];
  for await (const chunk of content) chunks.push(chunk);
  assert(Buffer.concat(chunks).equals(message), "the message is not what it was");
  assert(await client.messageFlagsAdd({ uid: String(uid) }, ["\\Flagged"], { uid: true }));
  assert.deepEqual(await client.search({ flagged: true, subject: "one-byte" }, { uid: true }), [uid]);
  const moved = await client.messageMove(String(uid), "Archive", { uid: true });
  assert(moved.uidMap.has(uid));
  assert.equal((await client.status("Archive", { messages: true, unseen: true })).messages, 1);
  await other.logout();
  await client.logout();
  await idle;
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
