import { isCode, isTest, withoutComments, type Finding, type SourceFile } from "./source-file.ts";

// Written so that this file does not find itself.
const MACHINE = [
  /[/](?:work|root|home)[/][\w.-]+/,
  /\bshared[/](?:design|research|data)\b/,
  /\bregistry[.][a-z0-9-]+[.][a-z]+/,
  /\b(?:10|192[.]168)(?:[.]\d{1,3}){2,3}:\d+/,
];
const MACHINE_TIME =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|(?<![.\w])set(?:Timeout|Interval)\(/;
const ENVIRONMENT = /\bprocess\.env\b/;
// Where a process meets its machine: its own main and config, and the adapters that wrap the platform.
const ADAPTERS = [
  /(?:^|\/)main\.ts$/,
  /(?:^|\/)config\.ts$/,
  /(?:^|\/)process-[a-z-]+\.ts$/,
  /\.config\.ts$/,
  /^packages\/clock\/src\/(?:system-clock|random)\.ts$/,
  /^(?:tools|bench|conformance)\/|^apps\/[^/]+\/scripts\//,
  // Runs in a browser, where nobody passes anything in.
  /^apps\/[^/]+\/web\//,
];

/** Nothing of this machine, no time or environment read behind the reader's back, exactly one title per document. */
export function contentFindings(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => [
    ...machineFindings(file),
    ...(isCode(file) ? ambientFindings(file) : []),
    ...(file.path.endsWith(".md") ? titleFindings(file) : []),
  ]);
}

function machineFindings({ path, text }: SourceFile): Finding[] {
  return MACHINE.flatMap((pattern) => {
    const found = pattern.exec(text)?.[0];
    return found === undefined ? [] : [`${path}: names something of one machine: ${found}`];
  });
}

function ambientFindings(file: SourceFile): Finding[] {
  if (isTest(file.path) || ADAPTERS.some((pattern) => pattern.test(file.path))) return [];
  const code = withoutComments(file.text);
  return [MACHINE_TIME, ENVIRONMENT].flatMap((pattern) => {
    const found = pattern.exec(code)?.[0];
    return found === undefined ? [] : [`${file.path}: uses ${found}, which is passed in instead`];
  });
}

function titleFindings({ path, text }: SourceFile): Finding[] {
  const outsideCode = text.replaceAll(/^(`{3,}|~{3,})[^]*?^\1/gm, "");
  const titles = outsideCode.match(/^# .+/gm)?.length ?? 0;
  return titles === 1 ? [] : [`${path}: has ${titles} titles, a document has one`];
}
