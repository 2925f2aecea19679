import assert from "node:assert/strict";
import { test } from "node:test";
import { Provider } from "./library.ts";
import { refuseDevelopmentPages } from "./library-changes.ts";

test("refuseDevelopmentPages() stops the start while the library's own pages would sign in anybody", () => {
  const on = new Provider("http://localhost:1");
  assert.throws(() => refuseDevelopmentPages(on), /sign in anybody/);
  const off = new Provider("http://localhost:1", {
    features: { devInteractions: { enabled: false } },
  });
  refuseDevelopmentPages(off);
});
