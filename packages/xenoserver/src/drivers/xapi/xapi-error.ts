/** What goes wrong between this server and a pool. No message holds what was sent: a password, or a session, is among it. */
import { wordsOf } from "./xapi-words.ts";

/** The pool has answered, with one of XAPI's own codes. */
export class XapiError extends Error {
  override name = "XapiError";
  readonly code: string;
  readonly facts: readonly string[];

  constructor(method: string, code: string, facts: readonly string[]) {
    // what a log-in was refused with names whom it was refused, what a session was, the session
    const isUnsaid = facts.length === 0 || method.startsWith("session.") || code.startsWith("SESSION_");
    super(`${method}: ${code}${isUnsaid ? "" : ` (${facts.join(", ").slice(0, 200)})`}${wordsOf(code)}`);
    this.code = code;
    this.facts = facts;
  }
}

/** Nobody answered, and nobody knows whether it was done. */
export class Unanswered extends Error {
  override name = "Unanswered";
  readonly method: string;
  constructor(method: string, options?: ErrorOptions) {
    super(`${method}: the pool did not answer`, options);
    this.method = method;
  }
}

/** Nothing was sent: nobody there, or somebody else. */
export class Unreached extends Error {
  override name = "Unreached";
}

export const isCode = (error: unknown, ...codes: readonly string[]): boolean => error instanceof XapiError && codes.includes(error.code);
