/** Whether a query failed because its connection or its server went away: then nobody knows whether it was done. */
const CODES = /^(?:08\w{3}|57P0[123]|25006|ECONNRESET|ECONNREFUSED|EPIPE|ETIMEDOUT|ENOENT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN)$/;
const WORDS = /^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;

export const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");

export const isLost = (error: unknown): boolean => CODES.test(codeOf(error)) || (error instanceof Error && WORDS.test(error.message));
