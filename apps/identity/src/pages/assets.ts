import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** A file that pages refer to, read when the process starts. */
export interface Asset {
  readonly path: string;
  readonly type: string;
  readonly bytes: Buffer;
  /** Strong (RFC 9110 §8.8.1): the digest of these very bytes. */
  readonly etag: string;
}

export const STYLE_PATH = "/assets/style.css";
export const ICON_PATH = "/assets/icon.svg";

const read = (path: string, file: string, type: string): Asset => {
  const bytes = readFileSync(new URL(file, import.meta.url));
  const etag = `"${createHash("sha256").update(bytes).digest("base64url")}"`;
  return { path, type, bytes, etag };
};

export const ASSETS: readonly Asset[] = [
  read(STYLE_PATH, "style.css", "text/css; charset=utf-8"),
  read(ICON_PATH, "icon.svg", "image/svg+xml"),
];
