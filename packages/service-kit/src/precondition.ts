import { serviceFault, type Fault } from "./fault.ts";

/**
 * Judges `If-Match` of a change (RFC 9110 §13.1.1, strong comparison; RFC 6585 §3).
 * @param ifMatch the field as received, undefined when absent
 * @param current the strong entity tag of the resource now, quotes included
 * @returns the refusal, or undefined when the change may go ahead
 */
export function judgeIfMatch(ifMatch: string | undefined, current: string): Fault | undefined {
  if (ifMatch === undefined) {
    return serviceFault(
      "precondition_required",
      "Cannot change the resource: If-Match is missing; send the ETag that was read, or * to overwrite whatever is there",
    );
  }
  const tags = parseEntityTags(ifMatch);
  if (tags === undefined) return malformed("If-Match");
  if (tags === "*" || tags.some((tag) => !tag.isWeak && tag.text === current)) return undefined;
  return serviceFault(
    "precondition_failed",
    `Cannot change the resource: it is now ${current}, not ${ifMatch.slice(0, 100)}`,
    { headers: { etag: current } },
  );
}

/**
 * Whether what the client has is still current (RFC 9110 §13.1.2, weak comparison), so that 304 is the answer.
 * A malformed field is ignored: the full answer is always right.
 */
export function isNotModified(ifNoneMatch: string | undefined, current: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = parseEntityTags(ifNoneMatch);
  if (tags === undefined) return false;
  const opaque = current.startsWith("W/") ? current.slice(2) : current;
  return tags === "*" || tags.some((tag) => tag.text === opaque);
}

interface EntityTag {
  readonly isWeak: boolean;
  /** With its quotes, without `W/`. */
  readonly text: string;
}

// RFC 9110 §8.8.3: etagc is any visible character but the quote, or obs-text. Each step consumes input, so the time is linear.
const ONE_TAG = /(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t]*|$)/y;

function parseEntityTags(field: string): "*" | readonly EntityTag[] | undefined {
  const text = field.trim();
  if (text === "*") return "*";
  const tags: EntityTag[] = [];
  ONE_TAG.lastIndex = 0;
  while (ONE_TAG.lastIndex < text.length) {
    const match = ONE_TAG.exec(text);
    if (match === null) return undefined;
    tags.push({ isWeak: match[1] !== undefined, text: match[2] ?? "" });
  }
  return tags.length > 0 ? tags : undefined;
}

function malformed(field: string): Fault {
  return serviceFault(
    "invalid_request",
    `Cannot read ${field}: it is neither * nor a list of entity tags`,
    {
      mistakes: [
        {
          pointer: `#/header/${field.toLowerCase()}`,
          detail: 'is neither * nor a list like "a", "b"',
        },
      ],
    },
  );
}
