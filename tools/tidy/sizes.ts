import { isCode, type Finding, type SourceFile } from "./source-file.ts";

// Past this, look for the second idea; a file that has one idea all the same says why.
const LOOK_AGAIN_LINES = 400;
const TOO_LONG_LINES = 600;
const REASON = /^\/\/ Longer than 400 lines: \S.{10,}/m;

/** One idea per file: long ones give their reason in a comment, very long ones have none. */
export function sizeFindings(files: readonly SourceFile[]): Finding[] {
  return files.filter(isCode).flatMap(({ path, text }) => {
    const lines = text.split("\n").length - 1;
    if (lines > TOO_LONG_LINES) return [`${path}: ${lines} lines, more than ${TOO_LONG_LINES}`];
    if (lines <= LOOK_AGAIN_LINES || REASON.test(text)) return [];
    return [
      `${path}: ${lines} lines; find the second idea, or say why not: // Longer than 400 lines: …`,
    ];
  });
}
