import { dictionary } from "@zxcvbn-ts/language-common";

/**
 * Whether a password is one of those that attackers try first (NIST SP 800-63B §3.1.1.2: known from breaches). The list is
 * `passwords-common` of zxcvbn-ts (MIT), about 50,000 entries in lower case, in the order of how often they were seen;
 * nothing is asked of the network.
 * @param password in lower case
 */
export function isCommonPassword(password: string): boolean {
  return COMMON.has(password);
}

const COMMON: ReadonlySet<string> = new Set(dictionary["passwords-common"]);
