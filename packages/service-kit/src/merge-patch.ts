export const MERGE_PATCH_MEDIA_TYPE = "application/merge-patch+json";

/** Deeper than any resource here, shallow enough for the stack: a patch nested 30,000 deep must not end the process. */
const DEEPEST = 64;

/**
 * Applies a JSON merge patch (RFC 7396 §2) and returns the result; neither argument is changed.
 * Members are defined, not assigned, so that `__proto__` in a patch is a member like any other.
 * @throws {RangeError} when the patch is nested more than 64 deep
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  return merge(target, patch, 0);
}

function merge(target: unknown, patch: unknown, depth: number): unknown {
  if (depth > DEEPEST) throw new RangeError(`Cannot merge: nested more than ${DEEPEST} deep`);
  if (!isObject(patch)) return patch;
  const members = new Map<string, unknown>(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) members.delete(name);
    else members.set(name, merge(members.get(name), value, depth + 1));
  }
  return Object.fromEntries(members);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
