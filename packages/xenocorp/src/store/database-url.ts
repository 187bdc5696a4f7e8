/**
 * What is said of a database that an operator named and that cannot be used. Who controls the inputs: the operator (DATABASE_URL, which may
 * hold a password and is never shown), and whoever answers there.
 */
import { codeOf, isLost } from "./lost.ts";

/** `pg` takes any word for the name of a database on a host of its own making. */
export function assertDatabaseUrl(url: string): void {
  if (!/^(?:postgres(?:ql)?:\/\/|socket:|\/)/.test(url))
    throw new Error("DATABASE_URL is no address of a PostgreSQL database: write postgres://USER@HOST:5432/DATABASE");
}

const IS_IT_RIGHT = "is it running, and is DATABASE_URL right?";
const WHY: Readonly<Record<string, string>> = {
  ECONNREFUSED: `nothing answers there; ${IS_IT_RIGHT}`,
  ENOENT: `its socket is not there; ${IS_IT_RIGHT}`,
  ENOTFOUND: "there is no host of that name; is DATABASE_URL right?",
  EAI_AGAIN: "the name of its host cannot be looked up now; is DATABASE_URL right?",
  EHOSTUNREACH: `its host is not reached; ${IS_IT_RIGHT}`,
  ENETUNREACH: `its host is not reached; ${IS_IT_RIGHT}`,
  ETIMEDOUT: `its host does not answer; ${IS_IT_RIGHT}`,
  ECONNRESET: `it breaks connections off; ${IS_IT_RIGHT}`,
  "57P01": "it is being stopped; start again once it is back",
  "57P03": "it is just starting or ending, or recovers from a crash; start again once it is ready",
  "53300": "it has no connection left; raise its max_connections, or end what holds them",
  "28P01": "it refuses the password of DATABASE_URL",
  "28000": "it lets this user in from no such place (pg_hba.conf), or knows no such user",
  "3D000": "there is no database of that name; make it: createdb NAME",
  "42501": "its user may not make tables there; make it the database's owner",
};

/** Of a connection that was there, or almost. */
const LOST = `it does not answer, or breaks off; ${IS_IT_RIGHT}`;

/** Several addresses of one host fail as one error that has no words of its own; a migration, by what it met. */
function firstOf(error: unknown): unknown {
  if (error instanceof AggregateError) return error.errors[0];
  return error instanceof Error && isLost(error.cause) ? error.cause : error;
}

/** Its cause failed elsewhere than at the database, with a code that what a database is not reached by has, too. */
export class Elsewhere extends Error {}

/** For `catch`. */
export const elsewhere = (cause: unknown): never => {
  throw new Elsewhere("it is not the database", { cause });
};

/** In the operator's words, where the reason is known. */
export function unreached(error: unknown): unknown {
  const first = firstOf(error);
  // a file's
  if (first instanceof Error && "path" in first) return error;
  const why = WHY[codeOf(first)] ?? (isLost(first) ? LOST : undefined);
  return why === undefined || !(first instanceof Error) ? error : new Error(`the database cannot be used: ${why} (${first.message})`);
}
