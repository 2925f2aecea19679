/**
 * Measures each in turn, round after round (A B C, B C A, …), so that a machine that becomes slower or faster does
 * so for all of them.
 * @returns the values of every round by name, in the order of the rounds
 */
export async function interleave(
  names: readonly string[],
  rounds: number,
  measure: (name: string, round: number) => Promise<number>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const values = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(round + turn) % names.length];
      if (name !== undefined) values.get(name)?.push(await measure(name, round));
    }
  }
  return values;
}
