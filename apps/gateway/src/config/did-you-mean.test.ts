import assert from "node:assert/strict";
import { test } from "node:test";
import { didYouMean } from "./did-you-mean.ts";

test("didYouMean() finds slips of the hand and nothing far away", () => {
  const keys = ["listen", "admin", "identity", "upstreams", "routes"];
  assert.equal(didYouMean("lisen", keys), "listen");
  assert.equal(didYouMean("lsiten", keys), "listen");
  assert.equal(didYouMean("ROUTES", keys), "routes");
  assert.equal(didYouMean("upsteam", keys), "upstreams");
  assert.equal(didYouMean("colour", keys), undefined);
  assert.equal(didYouMean("", keys), undefined);
  assert.equal(didYouMean("x".repeat(1_000_000), keys), undefined);
});
