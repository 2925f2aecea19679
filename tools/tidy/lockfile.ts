import type { Finding, SourceFile } from "./source-file.ts";

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * The lockfile installs everywhere: each package has its checksum and no address, and each platform's variant of a tool is
 * there. `npm install` leaves out variants that the registry it asks does not have, and `npm ci` then refuses the lockfile.
 */
export function lockfileFindings(text: string): Finding[] {
  const { packages } = JSON.parse(text) as { packages: Record<string, LockedPackage> };
  return Object.entries(packages).flatMap(([path, one]) => {
    const findings: Finding[] = [];
    if (path.includes("node_modules/") && one.link !== true) {
      if (one.integrity === undefined) findings.push(`package-lock.json: ${path} has no checksum`);
      if (one.resolved !== undefined) findings.push(`package-lock.json: ${path} names a registry`);
    }
    const missing = Object.keys(one.optionalDependencies ?? {}).filter(
      (name) => !isLocked(packages, path, name),
    );
    return [...findings, ...missing.map((name) => `package-lock.json: ${path} lacks ${name}`)];
  });
}

/** Node's own search: beside the package, then in every folder above. */
function isLocked(packages: Record<string, LockedPackage>, from: string, name: string): boolean {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/")))) {
    const prefix = folder === "" ? "" : `${folder}/`;
    if (`${prefix}node_modules/${name}` in packages) return true;
    if (folder === "") return false;
  }
}

/** Dependencies are exact versions: what is tested is what is installed. */
export function manifestFindings(file: SourceFile): Finding[] {
  const manifest = JSON.parse(file.text) as Record<string, Record<string, string> | undefined>;
  return ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {})
      .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
      .map(([name, version]) => `${file.path}: ${name} ${version} is not an exact version`),
  );
}
