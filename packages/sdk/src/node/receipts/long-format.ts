/** How the file of a long receipt begins, and how long its ends may be: for who writes one without verifying it. */
export const LONG_FORMAT = "xenoservers-receipt-2";
/** The first line and the last. */
export const END_BYTES_MAX = 16 * 1024 * 1024;
/** One document with its proof: 88 KB of an envelope, and a hash for each level of the log. */
export const LINE_BYTES_MAX = 256 * 1024;
