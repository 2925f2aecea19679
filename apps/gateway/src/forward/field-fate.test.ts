import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { answerFieldFate, FATE, requestFieldFate, trailerFate } from "./field-fate.ts";

/** The same name as others might spell it. */
const spellings = (name: string): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom("same", "upper", "lower", "underscore"), {
      minLength: name.length,
      maxLength: name.length,
    })
    .map((ways) =>
      name
        .split("")
        .map((character, at) => {
          if (ways[at] === "upper") return character.toUpperCase();
          if (ways[at] === "lower") return character.toLowerCase();
          return ways[at] === "underscore" && character === "-" ? "_" : character;
        })
        .join(""),
    );

const always = (name: string, fate: number, fateOf: (name: string) => number): void =>
  fc.assert(
    fc.property(spellings(name), (spelling) => assert.equal(fateOf(spelling), fate, spelling)),
    { numRuns: 50 },
  );

describe("requestFieldFate()", () => {
  for (const name of `Tidegate-Assertion Tidegate-Anything Forwarded X-Forwarded-For X-Forwarded-Whatever X-Real-IP True-Client-IP X-Original-URL X-Rewrite-URL X-HTTP-Method-Override Remote-User
    X-Remote-User Proxy-Authorization Connection Keep-Alive TE Upgrade Host Content-Length Transfer-Encoding Expect traceparent X-Request-Id`.split(
    /\s+/,
  ))
    test(`strips ${name} in every spelling`, () => always(name, FATE.strip, requestFieldFate));

  test("looks into cookies, credentials and trace state, and keeps the rest", () => {
    always("Cookie", FATE.cookie, requestFieldFate);
    always("Authorization", FATE.authorization, requestFieldFate);
    always("tracestate", FATE.tracestate, requestFieldFate);
    always("Accept-Language", FATE.keep, requestFieldFate);
    always("X-Mine", FATE.keep, requestFieldFate);
  });

  test("decides the same after any number of names that nobody knows", () => {
    for (let count = 0; count < 2_000; count++)
      assert.equal(requestFieldFate(`X-Junk-${count}`), FATE.keep);
    for (let count = 0; count < 2_000; count++)
      assert.equal(requestFieldFate(`x_forwarded-${count}`), FATE.strip);
    assert.equal(requestFieldFate("Accept"), FATE.keep);
    assert.equal(requestFieldFate("constructor"), FATE.keep);
    assert.equal(requestFieldFate("__proto__"), FATE.keep);
  });
});

test("answerFieldFate() strips what only the gateway says, and looks into Set-Cookie", () => {
  for (const name of ["Tidegate-Connection", "Connection", "Content-Length", "X-Request-Id"])
    always(name, FATE.strip, answerFieldFate);
  always("Set-Cookie", FATE.setCookie, answerFieldFate);
  always("Content-Type", FATE.keep, answerFieldFate);
});

test("trailerFate() lets nothing through that frames, routes or authenticates", () => {
  for (const name of [
    "Authorization",
    "Content-Type",
    "Set-Cookie",
    "Host",
    "Tidegate-Assertion",
    "X-Forwarded-For",
  ])
    always(name, FATE.strip, trailerFate);
  always("Server-Timing", FATE.keep, trailerFate);
});
