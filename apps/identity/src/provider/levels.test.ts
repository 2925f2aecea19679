import assert from "node:assert/strict";
import { test } from "node:test";
import { currentLevel, PASSWORD_LEVEL } from "./levels.ts";

test("currentLevel() falls back to the weakest level after the stronger one's time, and knows no level that is not listed", () => {
  const strong = { acr: "phr", amr: ["hwk"], forgottenAfterSeconds: 300 };
  const levels = [PASSWORD_LEVEL, strong];
  const at = (acr: string | undefined, nowSeconds: number) =>
    currentLevel({ acr, authTimeSeconds: 1_000 }, { nowSeconds, levels });
  assert.equal(at("phr", 1_300), strong);
  assert.equal(at("phr", 1_301), PASSWORD_LEVEL);
  assert.equal(at(PASSWORD_LEVEL.acr, 1_000_000), PASSWORD_LEVEL);
  assert.equal(at("urn:other", 1_000), undefined);
  assert.equal(at(undefined, 1_000), undefined);
});
