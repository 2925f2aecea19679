/** A request that is answered with a page (or a problem document) that says why. Thrown by routes, answered at the edge. */
export class Refused extends Error {
  readonly status: number;
  /** Fields of the answer, such as `Retry-After`. */
  readonly fields: Readonly<Record<string, string>>;

  /** @param message shown to the person: plain words, nothing that helps an attacker */
  constructor(
    status: number,
    message: string,
    options: { readonly fields?: Readonly<Record<string, string>>; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Refused";
    this.status = status;
    this.fields = options.fields ?? {};
  }
}
