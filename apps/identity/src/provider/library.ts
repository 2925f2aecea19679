// The one way in to oidc-provider. It says at its loading, on standard error, that it wants an LTS release of Node; this
// product pins a release and runs the whole test suite on it. The words are kept for the log, where they stand explained.

import { stripVTControlCharacters } from "node:util";
import type * as Library from "oidc-provider";

const notices: string[] = [];
const warn = console.warn;
console.warn = (...words: unknown[]) => {
  const text = words.map(String).join(" ");
  if (text.includes("oidc-provider WARNING")) notices.push(stripVTControlCharacters(text));
  else warn(...words);
};
const library: typeof Library = await import("oidc-provider").finally(() => {
  console.warn = warn;
});

export const { Provider, errors, interactionPolicy } = library;
export type Provider = Library.Provider;

/** What the library had to say at its loading. */
export const LIBRARY_NOTICES: readonly string[] = notices;
