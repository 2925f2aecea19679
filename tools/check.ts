// What `npm run check` runs before every commit: format, lint, types, dead code, tidy, unit and contract tests.
//
//   npm run check                    everything fast
//   npm run check -- --no-tests      only what reads the code
//   npm run check -- packages/wire   with the tests of those paths only

import { parseArgs } from "node:util";
import { findTestFiles } from "./test/find-test-files.ts";
import { runTestFiles } from "./test/run-test-files.ts";
import { runStaticParts } from "./test/static-parts.ts";
import { addTallies, printSummary } from "./test/tally.ts";

const { values, positionals } = parseArgs({
  options: { tests: { type: "boolean", default: true } },
  allowNegative: true,
  allowPositionals: true,
});

const tallies = [await runStaticParts()];
// Files beside the source are unit and contract tests; process tests live in folders named `test`.
const files = (await findTestFiles({ withLong: false, filters: [] })).filter(
  (path) =>
    path === "tools/tidy.test.ts" ||
    (values.tests &&
      path.includes("/src/") &&
      (positionals.length === 0 || positionals.some((filter) => path.includes(filter)))),
);
tallies.push(await runTestFiles(files, { fileDeadlineMs: 60_000 }));

const total = addTallies(tallies);
printSummary(total);
process.exitCode = total.failed > 0 ? 1 : 0;
