/** One look-up for all who ask for the same thing while another is under way: each hears what was so after it asked. */
export function askedTogether<T>(lookUp: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;
  const begin = (): Promise<T> => {
    next = null;
    const looked = lookUp();
    underWay = looked.catch(() => {});
    return looked;
  };
  return () => (next ??= underWay.then(begin));
}
