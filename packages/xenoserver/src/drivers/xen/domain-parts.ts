/** What a domain is carried in, by name: both servers know these. */

/** How the domain meets its hypervisor. */
export const KIND = "kind";
/** What it boots should it restart, where its order names a snapshot. */
export const BOOT = "boot";
/** What it has printed. */
export const CONSOLE = "console";
/** Its state, as it is sent while it runs; and as it is sent while it stands still, in place of that. */
export const [LIVE, STILL] = ["live", "state"] as const;
export const DISK = "disk.raw";
/** Before the digest of what it boots. */
export const BLOB = "blob-";

export const isState = (name: string): boolean => name === LIVE || name === STILL;
export const isPart = (name: string): boolean =>
  isState(name) || /^(?:kind|boot|console|(?:disk|base|seed)\.raw|blob-[0-9a-f]{64})$/.test(name);
