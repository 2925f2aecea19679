import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { findConfigFile } from "../config/find-config-file.ts";
import { loadConfig } from "../config/load-config.ts";
import type { Terminal } from "./terminal.ts";

/** How a command finds the running gateway. */
export interface AdminCall {
  readonly file: string | undefined;
  /** Where the admin listener is; undefined: as the configuration says. */
  readonly admin: string | undefined;
  /** The file its token is in; undefined: the one of the data folder. */
  readonly tokenFile: string | undefined;
}

export interface AdminPlace {
  readonly url: string;
  readonly tokenFile: string;
}

const ANSWER_TIMEOUT_MS = 5_000;

/** @throws {ConfigError} when the configuration is needed and cannot be used */
export async function adminPlaceOf(
  terminal: Terminal,
  { file, admin, tokenFile }: AdminCall,
): Promise<AdminPlace> {
  if (admin !== undefined && tokenFile !== undefined)
    return { url: admin, tokenFile: resolve(terminal.workingFolder, tokenFile) };
  const found = await findConfigFile(file, terminal.workingFolder);
  const { config } = await loadConfig(found, { environment: terminal.environment });
  const { host, port } = config.admin;
  return {
    url: admin ?? `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    tokenFile: tokenFile ?? join(config.dataFolder, "admin-token"),
  };
}

/**
 * Asks the admin listener of a running gateway. @returns its JSON answer
 * @throws {Error} when it cannot be reached, or refuses
 */
export async function askAdmin(
  { url, tokenFile }: AdminPlace,
  target: string,
  method: "GET" | "POST" = "GET",
): Promise<unknown> {
  const token = (await readFile(tokenFile, "utf8")).trim();
  let answer: Response;
  try {
    answer = await fetch(new URL(target, url), {
      method,
      headers: { authorization: `Bearer ${token}` },
      redirect: "error",
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
  } catch (cause) {
    throw new Error(`Cannot reach the gateway's admin listener at ${url}: is it running?`, {
      cause,
    });
  }
  if (!answer.ok) {
    const { pathname } = new URL(target, url);
    throw new Error(`Cannot ask ${url} for ${pathname}: it answered ${answer.status}`);
  }
  return await answer.json();
}
