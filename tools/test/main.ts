// What `npm test` runs: the Debian packages the tests need, the static checks, every test, and a summary as the last line.
//
//   npm test                         everything but *.long.test.ts
//   npm test -- apps/tasks           only test files whose path contains one of the arguments, no static checks
//   npm run test:long                with *.long.test.ts

import { parseArgs } from "node:util";
import { provideDebianPackages } from "./debian-packages.ts";
import { findTestFiles } from "./find-test-files.ts";
import { runTestFiles } from "./run-test-files.ts";
import { runStaticParts } from "./static-parts.ts";
import { addTallies, printSummary, type Tally } from "./tally.ts";

const { values, positionals } = parseArgs({
  options: { long: { type: "boolean", default: false } },
  allowPositionals: true,
});
const isCi = process.env["CI"] === "true";

const tallies: Tally[] = [provideDebianPackages({ isCi })];
if (positionals.length === 0) tallies.push(await runStaticParts());
const files = await findTestFiles({ withLong: values.long, filters: positionals });
// A long suite may take its time; any other file that runs this long hangs.
const fileDeadlineMs = values.long ? 30 * 60_000 : 180_000;
tallies.push(await runTestFiles(files, { fileDeadlineMs }));

const total = addTallies(tallies);
printSummary(total);
process.exitCode = total.failed > 0 ? 1 : 0;
