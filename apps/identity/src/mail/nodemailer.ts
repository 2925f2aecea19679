// The only file that knows nodemailer: messages to bytes, and bytes to a mail server.

import { createTransport } from "nodemailer";
import { MailRefused, type Mailer, type Message } from "./mailer.ts";

/** A message as RFC 5322 bytes. */
export async function toRfc5322(
  message: Message,
  envelope: { readonly from: string; readonly atMs: number },
): Promise<Buffer> {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: "windows" });
  const sent = await transport.sendMail(toMail(message, envelope.from, envelope.atMs));
  if (!Buffer.isBuffer(sent.message)) throw new Error("Cannot write a mail: no bytes came back");
  return sent.message;
}

/**
 * A mail server.
 * @param options.url `smtps://user:password@host:465`, or `smtp://…`, which upgrades to TLS. Without TLS nothing is sent except to
 *   this machine itself: letters hold codes that let people in
 */
export function createSmtpMailer(options: {
  readonly url: string;
  readonly from: string;
  /** What is written as the letter's date. */
  readonly wallMs: () => number;
  /** PEM of authorities to trust besides the platform's. */
  readonly authorities?: readonly string[];
}): Mailer {
  const url = new URL(options.url);
  const isTls = url.protocol === "smtps:";
  if (!isTls && url.protocol !== "smtp:") {
    throw new Error("Cannot send mail: the server's URL must begin with smtps: or smtp:");
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const transport = createTransport({
    host,
    port: url.port === "" ? (isTls ? 465 : 587) : Number(url.port),
    secure: isTls,
    requireTLS: !isTls && !isLoopback(host),
    ...(url.username !== "" && {
      auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) },
    }),
    ...(options.authorities && { tls: { ca: [...options.authorities] } }),
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 20_000,
    maxResponseSize: 65_536,
    // A message is ours from end to end; should that ever change, it still names no file and no address to fetch.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(message, signal) {
      try {
        await transport.sendMail({
          ...toMail(message, options.from, options.wallMs()),
          signal,
        });
      } catch (error) {
        signal.throwIfAborted();
        throw isFinal(error)
          ? new MailRefused("Cannot send mail: refused", { cause: error })
          : error;
      }
    },
    async [Symbol.asyncDispose]() {
      transport.close();
    },
  };
}

function toMail({ to, subject, text }: Message, from: string, atMs: number) {
  return {
    from,
    // An object: text would be read as a list of addresses, and a comma in it would add recipients.
    to: { name: "", address: to },
    subject,
    text,
    date: new Date(atMs),
    // RFC 3834 §5: out-of-office answers are not wanted.
    headers: { "Auto-Submitted": "auto-generated" },
    textEncoding: "quoted-printable" as const,
  };
}

/** RFC 5321 §4.2.1: 5xx will be the same next time. Credentials that are refused may be mended while we wait. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("code" in error && error.code === "EENVELOPE" && !("responseCode" in error)) return true;
  const isAboutUs = "code" in error && error.code === "EAUTH";
  return (
    !isAboutUs &&
    "responseCode" in error &&
    typeof error.responseCode === "number" &&
    error.responseCode >= 500
  );
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host.startsWith("127.");
