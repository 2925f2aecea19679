import assert from "node:assert/strict";
import { test } from "node:test";
import { ANONYMOUS, type Principal } from "@tidegate/auth";
import { isSignInDue, oldestSignInSeconds } from "./sign-in-duty.ts";

const P = 1_800_000_000_000;
const person = (times: Partial<Principal>): Principal => ({ ...ANONYMOUS, ...times });

test("isSignInDue() until somebody signed in after the second in which the penalty began", () => {
  for (const seconds of [0, P / 1_000 - 60, P / 1_000])
    assert.equal(isSignInDue(person({ authTimeSeconds: seconds }), P), true, `${seconds}`);
  assert.equal(isSignInDue(person({ authTimeSeconds: P / 1_000 + 1 }), P), false);
  assert.equal(isSignInDue(person({}), 0), false);
});

test("isSignInDue() takes the begin of our session only where the provider says nothing", () => {
  const sessionCreatedSeconds = P / 1_000 + 9;
  assert.equal(isSignInDue(person({ sessionCreatedSeconds }), P), false);
  assert.equal(isSignInDue(person({ sessionCreatedSeconds: P / 1_000 }), P), true);
  // A new session from an old sign-in (single sign-on) is no new sign-in.
  const silent = person({ sessionCreatedSeconds, authTimeSeconds: P / 1_000 - 1 });
  assert.equal(isSignInDue(silent, P), true);
});

test("oldestSignInSeconds() admits no sign-in of the penalty's second, and is never negative", () => {
  const nowMs = P + 31_700;
  assert.equal(oldestSignInSeconds(P, nowMs), 30);
  // At most 30 s ago is later than P, whatever the fraction of now.
  assert.ok(Math.floor(nowMs / 1_000) - 30 > P / 1_000);
  assert.equal(oldestSignInSeconds(P, P), 0);
  assert.equal(oldestSignInSeconds(P, P - 5_000), 0);
});
