// Ten words narrow any list; more only cost time.
const MOST_WORDS = 10;

/**
 * What a person typed, as an FTS5 query: every word must begin some word of title, notes or tags.
 * Each word is a quoted FTS5 string, in which only the quote itself has a meaning (it is doubled): no operator,
 * column filter or star of the person's own reaches the query language.
 * @returns undefined when there is no word to look for
 */
export function toSearchQuery(typed: string, personNumber: number): string | undefined {
  const words = typed
    .split(/\s+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    .slice(0, MOST_WORDS)
    .map((word) => `"${word.replaceAll('"', '""')}"*`);
  if (words.length === 0) return undefined;
  return `owner:"p${personNumber}" AND {title notes tags}:(${words.join(" AND ")})`;
}
