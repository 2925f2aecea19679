import { isCode, type Finding, type SourceFile } from "./source-file.ts";

const KEBAB = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z]+)*\.(?:ts|js|sh|md)$/;
// Documents that every repository calls so, and decisions with their number.
const CUSTOMARY = /^(?:[A-Z]+\.md|LICENSE|run)$/;
const VAGUE = /^(?:utils?|helpers?|common|shared|misc|lib)(?:\.|$)/;

/** Names say the idea: kebab-case, no `utils`; tests are called so that the runner finds them. */
export function nameFindings(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    const parts = file.path.split("/");
    const name = parts.at(-1) ?? "";
    const findings: Finding[] = [];
    if (parts.some((part) => VAGUE.test(part)))
      findings.push(`${file.path}: the name says no idea`);
    if (/\.(?:ts|js|sh|md)$/.test(name) && !KEBAB.test(name) && !CUSTOMARY.test(name)) {
      findings.push(`${file.path}: the name is not kebab-case`);
    }
    if (/\.spec\.|__tests__|\.tests\./.test(file.path)) {
      findings.push(`${file.path}: a test is called x.test.ts`);
    }
    const hasTests = isCode(file) && /^import .*from "node:test"/m.test(file.text);
    const isCalledTest = /\.(?:test|contract)\.ts$/.test(name);
    if (/^(?:test|describe)\(/m.test(file.text) && hasTests && !isCalledTest) {
      findings.push(`${file.path}: has tests that the runner does not find`);
    }
    if (isCalledTest && /^\s*(?:test|describe|it)\.only\(/m.test(file.text)) {
      findings.push(`${file.path}: runs only some of its tests`);
    }
    return findings;
  });
}
