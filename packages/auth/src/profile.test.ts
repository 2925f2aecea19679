import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { mergeProfiles, PROFILE_CLAIMS, readAssertedProfile, readProfile } from "./profile.ts";

const BAD_TEXTS: readonly unknown[] = [
  "",
  "a".repeat(256),
  "a\nb",
  "a\u0000",
  "a\u0085b",
  "a\u2028b",
  "\ud800",
  7,
  null,
  true,
  ["ada"],
  { $ne: "" },
];

test("readProfile() leaves out what is not of its type, and keeps the rest", () => {
  for (const bad of BAD_TEXTS) {
    assert.equal(readProfile({ name: bad }), undefined);
    const claims = { name: bad, preferred_username: "ada", email: bad, email_verified: true };
    assert.deepEqual(readProfile(claims), { preferred_username: "ada" });
    assert.equal(readAssertedProfile({ name: bad }), undefined);
  }
  for (const bad of ["true", "false", 1, 0, null, {}]) {
    const claims = { email: "ada@example.org", email_verified: bad };
    assert.deepEqual(readProfile(claims), { email: "ada@example.org" });
    assert.equal(readAssertedProfile(claims), undefined);
  }
});

test("readProfile() believes `email_verified` of the address beside it alone", () => {
  assert.equal(readProfile({ email_verified: true }), undefined);
  const claims = { email: "ada@example.org", email_verified: false, phone_number: "1", sub: "x" };
  const profile = readProfile(claims);
  assert.deepEqual(profile, { email: "ada@example.org", email_verified: false });
  assert.ok(Object.isFrozen(profile));
});

test("mergeProfiles() never lets one source's address be vouched for by another", () => {
  const merged = mergeProfiles(
    { email: "mallory@example.org" },
    { name: "Ada", email: "ada@example.org", email_verified: true },
  );
  assert.deepEqual(merged, { name: "Ada", email: "mallory@example.org" });
  const same = { email: "ada@example.org" };
  assert.deepEqual(mergeProfiles(same, { ...same, email_verified: true }), {
    ...same,
    email_verified: true,
  });
  assert.equal(mergeProfiles(undefined, undefined), undefined);
  assert.equal(mergeProfiles(undefined, same), same);
  assert.equal(mergeProfiles(same, undefined), same);
});

test("readAssertedProfile() reads back whatever readProfile() finds good", () => {
  const claims = fc.dictionary(
    fc.constantFrom(...PROFILE_CLAIMS, "other"),
    fc.oneof(fc.string({ unit: "binary" }), fc.boolean(), fc.integer()),
  );
  fc.assert(
    fc.property(claims, (said) => {
      const profile = readProfile(said);
      assert.deepEqual(readAssertedProfile({ ...profile }), { ...profile });
    }),
  );
});
