import assert from "node:assert/strict";
import { test } from "node:test";
import { isProofTarget } from "./proof-target.ts";

const head = { authority: "localhost:8080", isEncrypted: false, path: "/tasks/1" };
const at = (htu: string, changes: object = {}, publicUrl?: string) =>
  isProofTarget(htu, {
    head: { ...head, ...changes },
    publicUrl: publicUrl === undefined ? undefined : new URL(publicUrl),
  });

test("isProofTarget() refuses another host, port, scheme or path, and what is no address", () => {
  for (const htu of [
    "",
    "/tasks/1",
    "localhost:8080/tasks/1",
    "http://localhost:8080",
    "http://localhost:8080/tasks/2",
    "http://localhost:8080/tasks/1/",
    "http://localhost:8080/tasks/1/..",
    "http://localhost:8080/tasks%2F1",
    "http://localhost:8081/tasks/1",
    "http://localhost/tasks/1",
    "https://localhost:8080/tasks/1",
    "ws://localhost:8080/tasks/1",
    "http://attacker.example/tasks/1",
    "http://localhost:8080@attacker.example/tasks/1",
    "http://user@localhost:8080/tasks/1",
    "http://localhost:8080\\@attacker.example/tasks/1",
    "http://localhost:8080/tasks/1 ",
    "http://localhost:8080/tasks/\u0000",
  ]) {
    assert.equal(at(htu), false, htu);
  }
  assert.equal(at("http://localhost:8080/tasks/1", { isEncrypted: true }), false);
});

test("isProofTarget() compares normal forms, without query and fragment", () => {
  for (const htu of [
    "http://localhost:8080/tasks/1",
    "HTTP://LOCALHOST:8080/tasks/1",
    "http://localhost:8080/tasks/%31",
    "http://localhost:8080/tasks/x/../1",
    "http://localhost:8080/tasks/1?all=1#top",
  ]) {
    assert.equal(at(htu), true, htu);
  }
  assert.equal(at("http://localhost:8080", { path: "/" }), true);
  assert.equal(
    at("https://localhost/tasks/1", { authority: "localhost:443", isEncrypted: true }),
    true,
  );
});

test("isProofTarget() knows the public address, and the scheme that people use behind a proxy", () => {
  const publicUrl = "https://shop.example";
  assert.equal(at("https://shop.example/tasks/1", {}, publicUrl), true);
  assert.equal(
    at("https://shop.example:443/tasks/1", { authority: "shop.example" }, publicUrl),
    true,
  );
  assert.equal(at("http://shop.example/tasks/1", { authority: "shop.example" }, publicUrl), false);
  assert.equal(
    at("https://api.shop.example/t", { authority: "api.shop.example", path: "/t" }, publicUrl),
    true,
  );
});
