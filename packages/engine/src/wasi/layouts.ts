/**
 * What the two versions of WASI that are offered lay out differently in the guest's memory; everything else is the same. Sources:
 * WASI/legacy/preview0/docs.md and WASI/legacy/preview1/docs.md.
 */
export interface Layout {
  /** Of a subscription of `poll_oneoff`, and where in it the clock's own part begins. */
  subscriptionBytes: number;
  clockAt: number;
  /** Of a filestat, and where in it the count of links stands, in so many bits. */
  filestatBytes: number;
  linksAt: number;
  linksBits: 32 | 64;
  /** Of `fd_seek`. */
  whence: Readonly<Record<"SET" | "CUR" | "END", number>>;
}

export const PREVIEW1: Layout = {
  ...{ subscriptionBytes: 48, clockAt: 16 },
  ...{ filestatBytes: 64, linksAt: 24, linksBits: 64 },
  whence: { SET: 0, CUR: 1, END: 2 },
};

/** As compilers made modules before 2020. */
const SNAPSHOT0: Layout = {
  ...{ subscriptionBytes: 56, clockAt: 24 },
  ...{ filestatBytes: 56, linksAt: 20, linksBits: 32 },
  whence: { SET: 2, CUR: 0, END: 1 },
};

const SNAPSHOT0_MODULE = "wasi_unstable";
/** By the module that a guest imports the calls from. */
export const LAYOUTS: ReadonlyMap<string, Layout> = new Map([
  ["wasi_snapshot_preview1", PREVIEW1],
  [SNAPSHOT0_MODULE, SNAPSHOT0],
]);
