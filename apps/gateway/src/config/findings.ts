import type { ConfigPath } from "./config-error.ts";
import type { Finding } from "./explain-issue.ts";

/** Where checks put what they find: what cannot be used, and what can but is probably not meant. */
export class Findings {
  readonly mistakes: Finding[] = [];
  readonly warnings: Finding[] = [];

  mistake(path: ConfigPath, reason: string, allowed?: Iterable<string>): void {
    this.mistakes.push({ path, reason, allowed: allowed && quoteAll(allowed) });
  }

  warning(path: ConfigPath, reason: string): void {
    this.warnings.push({ path, reason });
  }
}

function quoteAll(names: Iterable<string>): string {
  const quoted = [...names].map((name) => JSON.stringify(name));
  return quoted.length === 0 ? "nothing: none is configured" : quoted.join(", ");
}
