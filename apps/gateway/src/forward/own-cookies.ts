/** Every cookie of the gateway's own begins so; none is for services, none may be set by them. */
const OWN_PREFIX = "__host-tidegate";

/** A Cookie field's value without the gateway's own; undefined when nothing is left. */
export function withoutOurCookies(value: string): string | undefined {
  if (!value.toLowerCase().includes(OWN_PREFIX)) return value;
  const others = value.split(";").filter((pair) => !isOwn(pair));
  const rest = others.join(";").trim();
  return rest === "" ? undefined : rest;
}

/** Whether an answer's Set-Cookie tries to write one of the gateway's own (session fixation). */
export function setsOurCookie(value: string): boolean {
  return isOwn(value);
}

// A cookie without a name is sent back as its bare value, which may look like one of ours (RFC 6265bis §5.7).
function isOwn(pair: string): boolean {
  return pair
    .replace(/^[\s=]+/, "")
    .toLowerCase()
    .startsWith(OWN_PREFIX);
}
