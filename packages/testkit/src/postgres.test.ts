import assert from "node:assert/strict";
import { test } from "node:test";
import { missingProgram } from "./missing-program.ts";
import { startPostgres } from "./postgres.ts";
import { startProcess } from "./process.ts";

test("startPostgres() answers a query", { skip: missingProgram("psql") }, async () => {
  await using postgres = await startPostgres();
  await using psql = await startProcess({
    command: "psql",
    args: [postgres.url, "--no-psqlrc", "--tuples-only", "--command", "select 6 * 7"],
  });
  assert.equal((await psql.exited()).code, 0, psql.output());
  assert.match(psql.stdout(), /^\s*42\s*$/);
});
