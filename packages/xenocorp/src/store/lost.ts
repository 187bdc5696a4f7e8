/** Whether a query failed because its connection or its server went away: then nobody knows whether it was done. */
const CODES = /^(?:08\w{3}|57P0[123]|25006|ECONNRESET|ECONNREFUSED|EPIPE|ETIMEDOUT|ENOENT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN)$/;
const WORDS = /^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;

/** What the database says of a disk of its own that is full. */
const DISK_FULL = "53100";

/** In words for strangers: whose disk, and nothing of where. */
export const DISK_IS_FULL = "the disk of the broker's database is full";

export const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");

export const isLost = (error: unknown): boolean => CODES.test(codeOf(error)) || (error instanceof Error && WORDS.test(error.message));

export const isDiskFull = (error: unknown): boolean => codeOf(error) === DISK_FULL;
