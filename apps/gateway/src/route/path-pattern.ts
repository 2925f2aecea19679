import { toCanonicalPath } from "./canonical-path.ts";

/** One step of a pattern: a literal segment, any one non-empty segment, or the rest of the path. */
export type PatternStep =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "one" }
  | { readonly kind: "rest" };

export type ParsedPattern =
  | { readonly ok: true; readonly steps: readonly PatternStep[] }
  | { readonly ok: false; readonly reason: string };

/**
 * Reads a route's path: `*` is one segment, a trailing `**` the rest (of any length, nothing included, so that
 * `/tasks/**` also serves `/tasks`).
 */
export function parsePathPattern(pattern: string): ParsedPattern {
  if (!pattern.startsWith("/")) return refuse("it must begin with /");
  const segments = pattern.slice(1).split("/");
  const steps: PatternStep[] = [];
  for (const [position, segment] of segments.entries()) {
    const isLast = position === segments.length - 1;
    if (segment === "**") {
      if (!isLast) return refuse("** may stand only at the end");
      steps.push({ kind: "rest" });
    } else if (segment === "*") {
      steps.push({ kind: "one" });
    } else if (segment.includes("*")) {
      return refuse(`"${segment}" mixes * with other characters; * stands for a whole segment`);
    } else if (segment === "" && !isLast) {
      return refuse("it has an empty segment, which no canonical path has");
    } else {
      const canonical = toCanonicalPath(`/${segment}`);
      if (canonical?.path !== `/${segment}`)
        return refuse(`"${segment}" is not in canonical form, so no request could ever match it`);
      steps.push({ kind: "literal", text: segment });
    }
  }
  return { ok: true, steps };
}

function refuse(reason: string): ParsedPattern {
  return { ok: false, reason };
}
