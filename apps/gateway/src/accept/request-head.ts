/**
 * What the road knows of a request before its body: gathered once from the field list, so that no later
 * step walks it again to ask. Values are as they came; absent ones are `undefined`.
 */
export interface RequestHead {
  readonly method: string;
  /** Canonical path, always beginning with `/`; this is what is matched and what goes upstream. */
  readonly path: string;
  /** With its leading `?`, or empty. */
  readonly query: string;
  /** Lower-case host name without port, from Host or an absolute-form target. */
  readonly host: string;
  /** As it came, with port. */
  readonly authority: string;
  readonly httpVersion: "1.0" | "1.1" | "2.0";
  readonly isEncrypted: boolean;
  /** Flat: name, value, name, value; names keep their case, order and repetition are kept. */
  readonly fields: readonly string[];
  /** Lower-cased names listed in Connection. */
  readonly connectionOptions: readonly string[];
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
  readonly origin: string | undefined;
  readonly secFetchSite: string | undefined;
  readonly secFetchMode: string | undefined;
  readonly secFetchDest: string | undefined;
  readonly hasCsrfField: boolean;
  readonly expectsContinue: boolean;
  readonly traceparent: string | undefined;
  readonly requestId: string | undefined;
  readonly via: string | undefined;
  /** Content-Length; -1 when chunked; 0 when there is no body. */
  readonly bodyBytes: number;
  /** Whether the client takes trailers (`TE: trailers`). */
  readonly takesTrailers: boolean;
}
