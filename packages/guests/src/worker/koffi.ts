/** koffi's native part, which calls C functions: the daemon puts it beside the worker. */

/** Its name there. */
export const KOFFI = "koffi.node";

export interface Koffi {
  load(library: null): { func<Called>(prototype: string): Called };
  address(bytes: Uint8Array): bigint;
  view(address: bigint, bytes: number): ArrayBuffer;
  errno(): number;
}

/** Throws where it does not load. */
export function loadKoffi(file = `${import.meta.dirname}/${KOFFI}`): Koffi {
  const addon: { exports: Partial<Koffi> } = { exports: {} };
  process.dlopen(addon, file);
  const { load, address, view, errno } = addon.exports;
  if (!load || !address || !view || !errno) throw new Error(`${KOFFI} is not what it was`);
  return { load, address, view, errno };
}
