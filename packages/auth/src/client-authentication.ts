import type { FormRequest } from "./remote-json.ts";

/** Our registration at a provider, as we prove it there. */
export interface ClientCredentials {
  readonly id: string;
  readonly secret: string;
  readonly authentication: "client_secret_basic" | "client_secret_post";
}

/** A form that says who asks (RFC 6749 §2.3.1). */
export function authenticatedForm(
  parameters: Readonly<Record<string, string>>,
  { id, secret, authentication }: ClientCredentials,
): FormRequest {
  if (authentication === "client_secret_post") {
    const all = { ...parameters, client_id: id, client_secret: secret };
    return { parameters: new URLSearchParams(all), headers: {} };
  }
  // Both are form-encoded before they are joined, so that a colon in the id is no separator.
  const pair = `${formEncoded(id)}:${formEncoded(secret)}`;
  return {
    parameters: new URLSearchParams(parameters),
    headers: { authorization: `Basic ${Buffer.from(pair).toString("base64")}` },
  };
}

const formEncoded = (text: string): string =>
  new URLSearchParams({ text }).toString().slice("text=".length);
