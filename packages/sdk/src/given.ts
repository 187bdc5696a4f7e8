/** What was said of many things that can be said. */
type Given<T> = { [K in keyof T as null extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as null extends T[K] ? K : never]?: NonNullable<T[K]>;
};

/** Leaves out what was not given, for whoever asks by absence. */
export function given<T extends object>(all: T): Given<T> {
  // the entries that are left are those of T that are not null
  return Object.fromEntries(Object.entries(all).filter(([, each]) => each !== null)) as Given<T>;
}
