import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** A file of the page, read when the process starts: a handful, some kilobytes each. */
export interface WebFile {
  readonly bytes: Buffer;
  readonly type: string;
  /** Strong (RFC 9110 §8.8.1): the digest of these very bytes. */
  readonly etag: string;
}

const read = (name: string, type: string): WebFile => {
  const bytes = readFileSync(new URL(`../web/${name}`, import.meta.url));
  const etag = `"${createHash("sha256").update(bytes).digest("base64url")}"`;
  return { bytes, type: `${type}; charset=utf-8`, etag };
};

/** By path. */
export const WEB_FILES: ReadonlyMap<string, WebFile> = new Map([
  ["/", read("index.html", "text/html")],
  ["/workspace/page.js", read("page.js", "text/javascript")],
  ["/workspace/tasks.js", read("tasks.js", "text/javascript")],
  ["/workspace/style.css", read("style.css", "text/css")],
  ["/workspace/icon.svg", read("icon.svg", "image/svg+xml")],
]);
