import { readFileSync } from "node:fs";
import { repositoryFiles } from "../test/find-test-files.ts";

/** A text file of the repository as the rules see it. */
export interface SourceFile {
  /** From the root of the checkout, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** What a rule has against a file, as one line. */
export type Finding = string;

const TEXT = /\.(?:ts|js|json|md|yaml|yml|sh)$|^\.ci\/run$|(?:^|\/)LICENSE$/;
// Made by npm, thousands of lines; it has a rule of its own.
const LOCKFILE = "package-lock.json";

/** Every text file that is in the repository or would be after `git add`. */
export async function readSourceFiles(): Promise<SourceFile[]> {
  const paths = (await repositoryFiles()).filter((path) => TEXT.test(path) && path !== LOCKFILE);
  return paths.map((path) => ({ path, text: readFileSync(path, "utf8") }));
}

export const isCode = (file: SourceFile): boolean => /\.(?:ts|js)$/.test(file.path);

/** Files that run only in tests: they may use the testkit and the machine's clock. */
export function isTest(path: string): boolean {
  return (
    /\.(?:test|contract)\.ts$/.test(path) ||
    path.includes("/test/") ||
    path.startsWith("packages/testkit/")
  );
}

/** The file without its comments, which may speak of what the code must not do. Strings stay. */
export function withoutComments(text: string): string {
  // A string, template or regular expression is skipped whole, so that a `//` in it is not taken for a comment.
  const tokens =
    /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`|\/\*[^]*?\*\/|\/\/[^\n]*|\/(?![/*])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g;
  return text.replaceAll(tokens, (token) =>
    token.startsWith("//") || token.startsWith("/*") ? token.replaceAll(/[^\n]/g, "") : token,
  );
}
