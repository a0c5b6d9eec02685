/** Works through a list, a few at a time. */

/** Maps a list in order of its items, at most `limit` at once; the first failure ends it. */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  run: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  let failed = false;
  const work = async () => {
    // All workers draw from one iterator, so each item is taken once.
    for (const [index, item] of rest) {
      if (failed) return;
      results[index] = await run(item);
    }
  };
  const workers = Array.from({ length: Math.min(limit, items.length) }, work);
  try {
    await Promise.all(workers);
  } finally {
    failed = true;
  }
  return results;
}
