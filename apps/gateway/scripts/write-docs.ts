import { writeFile } from "node:fs/promises";
import { PAGES } from "./pages.ts";

// Writes the generated pages of docs/ anew. `node apps/gateway/scripts/write-docs.ts`, after a change to the schema, the
// tables of refusals and faults, or the command line; a test fails until it was done.

for (const { url, render } of PAGES) await writeFile(url, render());
