/**
 * Places in a person's own order, as strings that are compared byte by byte. Between any two there is always
 * another, so that moving one task changes that task alone.
 * The text is a fraction in base 62. Its first digits count up and down from the middle, so that adding at the
 * ends keeps it short; in between it is halved (after David Greenspan, "Implementing Fractional Indexing").
 */
export type Position = string;

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
// 62^7 whole places: at a million additions a second to one end they last for weeks.
const WHOLE_DIGITS = 7;
const MIDDLE = Math.floor(62 ** WHOLE_DIGITS / 2);

/** Halving one gap again and again adds a digit at every sixth time; beyond this the list is numbered anew. */
export const LONGEST_POSITION = 64;

/**
 * A place after `before` and ahead of `after`; undefined stands for the ends of the list.
 * @throws {RangeError} when they are not in order
 */
export function positionBetween(
  before: Position | undefined,
  after: Position | undefined,
): Position {
  if (before !== undefined && after !== undefined) {
    if (before >= after) throw new RangeError(`No place between ${before} and ${after}`);
    return middle(before, after);
  }
  if (before !== undefined) return fromWhole(toWhole(before) + 1);
  if (after !== undefined) return fromWhole(toWhole(after) - 1);
  return fromWhole(MIDDLE);
}

/** `count` short places in rising order. */
export function evenPositions(count: number): Position[] {
  const first = MIDDLE - Math.floor(count / 2);
  return Array.from({ length: count }, (_, index) => fromWhole(first + index));
}

function toWhole(position: Position): number {
  let whole = 0;
  for (let index = 0; index < WHOLE_DIGITS; index += 1) {
    whole = whole * 62 + DIGITS.indexOf(position[index] ?? "0");
  }
  return whole;
}

function fromWhole(whole: number): Position {
  let text = "";
  for (let rest = whole, index = 0; index < WHOLE_DIGITS; index += 1) {
    text = DIGITS.charAt(rest % 62) + text;
    rest = Math.floor(rest / 62);
  }
  // No trailing zeros: nothing fits between "1" and "10".
  return text.replace(/0+$/, "");
}

/** The shortest text near the middle of two fractions; `high` undefined stands for one. */
function middle(low: string, high: string | undefined): string {
  if (high !== undefined) {
    let same = 0;
    while (same < high.length && (low[same] ?? "0") === high[same]) same += 1;
    if (same > 0) return high.slice(0, same) + middle(low.slice(same), high.slice(same));
  }
  const lowDigit = low === "" ? 0 : DIGITS.indexOf(low.charAt(0));
  const highDigit = high === undefined ? DIGITS.length : DIGITS.indexOf(high.charAt(0));
  if (highDigit - lowDigit > 1) return DIGITS.charAt(Math.round((lowDigit + highDigit) / 2));
  if (high !== undefined && high.length > 1) return high.charAt(0);
  return DIGITS.charAt(lowDigit) + middle(low.slice(1), undefined);
}
