/** A table whose rows are made one by one, each when it is first asked for: a program that does one thing needs a few of many. */

type Makers = Readonly<Record<string, () => unknown>>;
type Made<T extends Makers> = { readonly [K in keyof T]: ReturnType<T[K]> };

/** `makers`: by name; each is called once at most. */
export function madeWhenAsked<T extends Makers>(makers: T): Made<T> {
  const table = {};
  for (const [name, make] of Object.entries(makers)) {
    const get = (): unknown => {
      const value = make();
      Object.defineProperty(table, name, { value, enumerable: true });
      return value;
    };
    Object.defineProperty(table, name, { get, enumerable: true, configurable: true });
  }
  // each of its names has what its maker gives
  return table as Made<T>;
}
