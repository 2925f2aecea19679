/** One answer of the admin listener, as a value. */
export interface AdminAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly fields?: Readonly<Record<string, string>>;
  /** Why it was refused, for the log; absent when it was not. */
  readonly refusal?: string;
}

export const jsonAnswer = (status: number, body: string): AdminAnswer => ({
  status,
  contentType: "application/json",
  body,
});

/** A refusal as problem details (RFC 9457). */
export function problemAnswer(
  status: number,
  refusal: string,
  title: string,
  fields: Readonly<Record<string, string>> = {},
): AdminAnswer {
  const body = `${JSON.stringify({ type: "about:blank", title, status })}\n`;
  return { status, contentType: "application/problem+json", body, fields, refusal };
}
