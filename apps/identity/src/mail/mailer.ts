/** One letter to one person. Plain text alone: nothing in it is fetched, hidden or tracked. */
export interface Message {
  /** An address that `parseEmail` answered. */
  readonly to: string;
  /** One line. */
  readonly subject: string;
  readonly text: string;
}

/** How letters leave. Implementations: a folder (`outbox-folder.ts`) and SMTP (`smtp-mailer.ts`). */
export interface Mailer {
  /**
   * Hands a letter over. Resolves when it is somebody else's to deliver, or on disk.
   * @throws {MailRefused} when it will never be taken
   * @throws {Error} when trying again later may help, and the signal's reason when it is aborted
   */
  send(message: Message, signal: AbortSignal): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** This letter will not be taken, however often it is sent: no such mailbox, or the server does not want it. */
export class MailRefused extends Error {
  override readonly name = "MailRefused";
}
