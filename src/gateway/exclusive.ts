/** One thing at a time for each database: what must not come between the steps of something else. */

const turns = new WeakMap<object, Promise<unknown>>();

/** Runs `work` when what was asked for before on the same object is done, whatever became of it. */
export function exclusively<T>(of: object, work: () => Promise<T>): Promise<T> {
  const before = turns.get(of) ?? Promise.resolve();
  const turn = before.then(work, work);
  turns.set(of, turn);
  return turn;
}
