// Planted secrets, and the search for them.

import assert from "node:assert/strict";
import { systemRandom } from "@tidegate/clock";

/** Hands out secrets and remembers them. Each is found again by itself, and as base64 would show it. */
export function createNest() {
  const planted = new Map<string, string>();
  return {
    planted,
    /** A new secret for a place. */
    plant(where: string): string {
      const secret = `canary${planted.size}x${systemRandom.bytes(9).toString("hex")}`;
      planted.set(where, secret);
      return secret;
    },
    /** A secret that somebody else made. */
    keep(where: string, secret: string): string {
      assert.ok(secret.length >= 20, where);
      planted.set(where, secret);
      return secret;
    },
    /** The places whose secret is found in a text. */
    foundIn(text: string): string[] {
      return [...planted].flatMap(([where, secret]) =>
        spellings(secret).some((spelling) => text.includes(spelling)) ? [where] : [],
      );
    },
  };
}

/** As it is, percent-encoded, and as the middle of a base64 text at each of the three offsets. */
function spellings(secret: string): string[] {
  const inBase64 = [0, 1, 2].map((offset) => {
    const text = Buffer.from("x".repeat(offset) + secret).toString("base64");
    return text.slice(4, -6);
  });
  // A JWT's parts are secrets each: the signature alone completes what a claim set on a screen lacks.
  const parts = secret.split(".").length === 3 ? secret.split(".").slice(2) : [];
  return [secret, encodeURIComponent(secret), ...inBase64, ...parts];
}

export type Nest = ReturnType<typeof createNest>;
