/** What a form shows when it is shown again after it was sent. */
export interface FormState {
  /** By field name, why it was not taken; `form` for what concerns no single field. Codes, not words: see `problem-text.ts`. */
  readonly problems: Readonly<Record<string, string>>;
  /** By field name, what the person had typed. Never a password. */
  readonly values: Readonly<Record<string, string>>;
  /** How long to wait before trying again. */
  readonly retryAfterSeconds?: number;
  /** A code of something that went well. */
  readonly notice?: string;
}

/** A form that nobody has sent yet. */
export const FRESH_FORM: FormState = { problems: {}, values: {} };
