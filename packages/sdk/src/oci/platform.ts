/** For what images are: what servers run. */

export const PLATFORM = { os: "linux", architecture: "amd64" } as const;
/** As some programs call it. */
const SAME: Readonly<Record<string, string>> = { x86_64: "amd64", "x86-64": "amd64" };

/** Engines take either in any case of its letters. */
export function isOurs({ os, architecture }: { os: string; architecture: string }): boolean {
  const name = architecture.toLowerCase();
  return os.toLowerCase() === PLATFORM.os && (SAME[name] ?? name) === PLATFORM.architecture;
}
