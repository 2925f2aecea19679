/** What we promise beside a peer: our cost at most so many times theirs. */
export interface Bar {
  readonly peer: string;
  readonly atMost: number;
}

/** One line per bar, for people: where we win, and where we lose. */
export function describeBars(
  bars: readonly Bar[],
  ratios: Readonly<Record<string, number>>,
): string {
  const lines = bars.map(({ peer, atMost }) => {
    const ratio = ratios[peer];
    if (ratio === undefined) return `  not measured  ${peer} (bar ${atMost})`;
    const verdict = ratio <= atMost ? "holds" : "MISSED";
    return `  ${verdict.padEnd(7)}  ${ratio.toFixed(2)} × ${peer} (bar ${atMost})`;
  });
  return lines.join("\n");
}
