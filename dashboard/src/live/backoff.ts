// When to try again after a connection was lost.

/** The first wait, about; enough for a Worker that is being restarted. */
const FIRST_MS = 500;

/** The longest, so that a page that was left open heals soon after the network. */
const LONGEST_MS = 15_000;

/**
 * How long to wait before the next attempt, after `failures` in a row. Random, so that many pages do
 * not come back at once: between half and all of a span that doubles.
 */
export function delay(failures: number, random: () => number): number {
  const span = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, failures - 1));
  return span * (0.5 + random() / 2);
}
