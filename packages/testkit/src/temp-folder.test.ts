import assert from "node:assert/strict";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { tempFolder } from "./temp-folder.ts";

test("tempFolder() is private and gone with what it held after its scope", async () => {
  let path = "";
  {
    await using folder = await tempFolder();
    path = folder.path;
    assert.equal(statSync(path).mode & 0o777, 0o700);
    writeFileSync(folder.file("some.txt"), "content");
  }
  assert.notEqual(path, "");
  assert.equal(existsSync(path), false);
});
