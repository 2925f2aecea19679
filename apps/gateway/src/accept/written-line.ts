// Whatever could end a line would let a value write fields of its own (response splitting). Everything that comes from
// outside was checked on its way in; a mistake in between must end here.
const NEVER_IN_FIELDS = /[^\t\x20-\x7e\x80-\xff]/;

/** Places that are remembered, and the longest lines that are: 16 KiB for each thread at most. Others are made anew. */
const MAX_PLACES = 32;
const MAX_CHARACTERS = 512;

interface Written {
  readonly name: string;
  readonly value: string;
  readonly line: string;
}

/** What stood at each place of the last answers of this thread. */
const lastWritten: Written[] = [];

/**
 * A field line as it is sent, with its line end. Answers of one kind differ in few lines, so the one that was last
 * written at the same place is looked at first: no line is checked and put together twice in a row.
 * @param place position among the fields
 * @throws {Error} when it holds what would end a line or be no Latin-1
 */
export function writtenLine(place: number, name: string, value: string): string {
  const last = lastWritten[place];
  if (last !== undefined && last.name === name && last.value === value) return last.line;
  const line = `${name}: ${value}\r\n`;
  if (NEVER_IN_FIELDS.test(name) || NEVER_IN_FIELDS.test(value))
    throw new Error(`Cannot write the field ${name}: a character that may not be there`);
  if (place < MAX_PLACES && line.length <= MAX_CHARACTERS)
    lastWritten[place] = { name, value, line };
  return line;
}
