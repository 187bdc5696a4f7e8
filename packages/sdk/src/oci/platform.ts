/** For what images are: what servers run. */

export const PLATFORM = { os: "linux", architecture: "amd64" } as const;
/** As some programs call it. */
const SAME: Readonly<Record<string, string>> = { x86_64: "amd64", "x86-64": "amd64" };

export const isOurs = ({ os, architecture }: { os: string; architecture: string }): boolean =>
  os === PLATFORM.os && (SAME[architecture] ?? architecture) === PLATFORM.architecture;
