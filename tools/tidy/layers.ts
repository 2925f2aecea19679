import { posix } from "node:path";
import { isCode, isTest, withoutComments, type Finding, type SourceFile } from "./source-file.ts";

/** Which packages a package may import. Whoever is not named imports `clock` alone. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  clock: [],
  "service-kit": ["clock", "auth"],
};

/** Doors besides a package's own: what loads or fits a library that most users do not have. */
const SIDE_DOORS: ReadonlySet<string> = new Set(
  ["redis", "fastify", "fetch", "socket.io", "ws"].map((door) => `@tidegate/limits/${door}`),
);

const SPECIFIER = /(?:\bfrom|\bimport)\s*\(?\s*["']([^"'\n]+)["']/g;

/** Imports point one way: apps to packages, packages to clock (service-kit to auth), always through the door. */
export function layerFindings(files: readonly SourceFile[]): Finding[] {
  const apps = new Set(files.flatMap(({ path }) => /^apps\/([^/]+)\//.exec(path)?.[1] ?? []));
  return files.filter(isCode).flatMap((file) =>
    importsOf(file).flatMap((specifier) => {
      const problem = judge(file.path, specifier, apps);
      return problem === undefined ? [] : [`${file.path}: imports ${specifier}: ${problem}`];
    }),
  );
}

/** Every module that a file names in an import or export. */
export function importsOf(file: SourceFile): string[] {
  return [...withoutComments(file.text).matchAll(SPECIFIER)].map((match) => match[1] ?? "");
}

function judge(path: string, specifier: string, apps: ReadonlySet<string>): string | undefined {
  const home = workspaceOf(path);
  if (specifier.startsWith(".")) {
    const target = workspaceOf(posix.normalize(posix.join(posix.dirname(path), specifier)));
    return target === home ? undefined : `goes past the door of ${target}`;
  }
  const [, scoped, deep] = /^@tidegate\/([^/]+)(\/.*)?$/.exec(specifier) ?? [];
  const target = scoped ?? (/^tidegate(?:\/|$)/.test(specifier) ? "gateway" : undefined);
  if (target === undefined) return undefined;
  if ((deep !== undefined && !SIDE_DOORS.has(specifier)) || specifier.startsWith("tidegate/"))
    return `goes past the door of ${target}`;
  const [kind, name] = home.split("/");
  if (target === name) return undefined;
  if (target === "testkit") {
    const mayTest = isTest(path) || kind === "tools" || kind === "bench" || kind === "conformance";
    return mayTest ? undefined : "the testkit is for tests";
  }
  if (kind === "apps" && apps.has(target)) return "two apps meet only over the network";
  if (kind !== "packages") return undefined;
  if (apps.has(target)) return "a package knows no app";
  const allowed = MAY_IMPORT[name ?? ""] ?? ["clock"];
  return allowed.includes(target) || isTest(path)
    ? undefined
    : "against the direction of the layers";
}

/** `apps/gateway`, `packages/wire`, or the top folder for what is no workspace. */
function workspaceOf(path: string): string {
  return /^(?:apps|packages)\/[^/]+/.exec(path)?.[0] ?? path.split("/")[0] ?? "";
}
