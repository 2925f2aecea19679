import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { createSmtpMailer } from "./nodemailer.ts";
import { MailRefused } from "./mailer.ts";

const FROM = "Tidegate <no-reply@id.example>";
const wallMs = (): number => Date.UTC(2026, 10, 23);
const MESSAGE = {
  to: "ada@example.org",
  subject: "Choose a new password",
  text: "Hello ada,\n\n.\nhttps://id.example/reset/open?token=abc_-123\n\n— id.example\n",
};

describe("createSmtpMailer()", () => {
  test("hands a letter to the server whole: envelope, fields, text with a line that is a dot", async () => {
    await using server = await startSmtp();
    await using mailer = createSmtpMailer({ url: server.url, from: FROM, wallMs });
    await mailer.send(MESSAGE, AbortSignal.timeout(5_000));
    const [letter] = server.letters;
    assert.deepEqual(letter?.to, ["ada@example.org"]);
    assert.equal(letter.from, "no-reply@id.example");
    assert.match(letter.data, /^To: ada@example.org\r?$/m);
    assert.match(letter.data, /^Subject: Choose a new password\r?$/m);
    assert.match(letter.data, /^Auto-Submitted: auto-generated\r?$/m);
    assert.match(letter.data, /^Date: Mon, 23 Nov 2026/m);
    assert.match(letter.data, /^\.\r?$/m);
    assert.match(letter.data, /token=3Dabc_-123/);
  });

  test("an address or subject with line ends or a list in it adds no field and no recipient", async () => {
    await using server = await startSmtp();
    await using mailer = createSmtpMailer({ url: server.url, from: FROM, wallMs });
    for (const to of [
      "ada@example.org, eve@example.org",
      "ada@example.org\r\nBcc: eve@example.org",
      "Eve <eve@example.org>",
    ]) {
      const message = { ...MESSAGE, to, subject: "x\r\nBcc: eve@example.org" };
      await mailer.send(message, AbortSignal.timeout(5_000)).catch(() => undefined);
    }
    for (const letter of server.letters) {
      assert.ok(letter.to.length <= 1, letter.to.join());
      assert.notEqual(letter.to[0], "eve@example.org");
      assert.doesNotMatch(letter.data, /^Bcc:/im);
    }
  });

  test("a mailbox that does not exist is refused for good; a busy server is not", async () => {
    await using server = await startSmtp({
      onRcptTo({ address }, _session, callback) {
        const error = new Error("no") as Error & { responseCode: number };
        error.responseCode = address.startsWith("gone") ? 550 : 451;
        callback(error);
      },
    });
    await using mailer = createSmtpMailer({ url: server.url, from: FROM, wallMs });
    const send = (to: string) => mailer.send({ ...MESSAGE, to }, AbortSignal.timeout(5_000));
    await assert.rejects(send("gone@example.org"), MailRefused);
    await assert.rejects(send("later@example.org"), (error) => !(error instanceof MailRefused));
  });

  test("signs in to the server with what the address says", async () => {
    const seen: unknown[] = [];
    await using server = await startSmtp({
      authOptional: false,
      allowInsecureAuth: true,
      disabledCommands: ["STARTTLS"],
      onAuth({ username, password }, _session, callback) {
        seen.push(username, password);
        callback(null, { user: username });
      },
    });
    const url = server.url.replace("://", "://mail%40er:p%3Aw@");
    await using mailer = createSmtpMailer({ url, from: FROM, wallMs });
    await mailer.send(MESSAGE, AbortSignal.timeout(5_000));
    assert.deepEqual(seen, ["mail@er", "p:w"]);
    assert.equal(server.letters.length, 1);
  });

  test("stops at once when it is told to, also while the server says nothing", async () => {
    await using server = await startSmtp({ onConnect: () => undefined });
    await using mailer = createSmtpMailer({ url: server.url, from: FROM, wallMs });
    const stop = new AbortController();
    const sending = mailer.send(MESSAGE, stop.signal);
    stop.abort(new Error("enough"));
    await assert.rejects(sending, /enough/);
  });

  test("refuses a URL that is no mail server's", () => {
    assert.throws(
      () => createSmtpMailer({ url: "http://x/", from: FROM, wallMs }),
      /smtps: or smtp:/,
    );
  });
});

async function startSmtp(options: SMTPServerOptions = {}) {
  const letters: { from: string; to: string[]; data: string }[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    logger: false,
    closeTimeout: 100,
    onData(stream, { envelope }, callback) {
      void text(stream).then((data) => {
        const from = envelope.mailFrom === false ? "" : envelope.mailFrom.address;
        letters.push({ from, to: envelope.rcptTo.map(({ address }) => address), data });
        callback();
      });
    },
    ...options,
  });
  server.on("error", () => undefined);
  const listening = server.listen(0, "127.0.0.1");
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    letters,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(resolve);
      }),
  };
}
