/** An error, with all that its table says of it. */
import type { ReactNode } from "react";
import { MarketError } from "@xenoservers/sdk";
import { linkTo } from "./place.ts";
import { told } from "./problem-words.ts";
import type { Reading } from "./use-reading.ts";
import { said } from "./words.ts";

interface ProblemProps {
  error: unknown;
  what: string;
  /** It was only to be read. */
  isRead?: boolean;
}

/** A key that can do nothing any more. */
const KEY_IS_OVER: readonly (string | null)[] = ["key_revoked", "key_expired"];

export function Problem({ error, what, isRead = false }: ProblemProps): ReactNode {
  if (error === null || error === undefined) return null;
  const { code, says, blame, money, next } = told(error, isRead);
  return (
    <div className="problem" role="alert">
      <p>
        <strong>{said(what)}:</strong> {says}
      </p>
      <dl>
        {code !== null && (
          <>
            <dt>code</dt>
            <dd>
              <code>{code}</code>
            </dd>
          </>
        )}
        <dt>whose doing</dt>
        <dd>{blame}</dd>
        <dt>money</dt>
        <dd>{money}</dd>
        {!says.endsWith(next) && (
          <>
            <dt>next</dt>
            <dd>{next}</dd>
          </>
        )}
      </dl>
      {isRead && code === "broken_word" && (
        <p>
          A page that is older than its broker cannot read it either, so first{" "}
          <button type="button" className="small" onClick={() => location.reload()}>
            load this page anew
          </button>
        </p>
      )}
      {KEY_IS_OVER.includes(code) && (
        <p>
          <a href={linkTo("enter")}>Forget it and give another key</a>
        </p>
      )}
    </div>
  );
}

/** What is shown is old: whoever looks at it can go on, and it is asked for again by itself. */
export function Unread({ reading: { value, error }, what }: { reading: Reading<unknown>; what: string }): ReactNode {
  if (error === null || error === undefined) return null;
  const isPassing = error instanceof MarketError && error.retryable;
  if (value === null || !isPassing) return <Problem error={error} what={what} isRead />;
  return (
    <p className="old" role="status">
      {said(what)}: {told(error, true).says}. What is shown is what came last; it is asked for again by itself.
    </p>
  );
}

export function Waiting({ what }: { what: string }): ReactNode {
  return (
    <p className="quiet" role="status">
      {what}…
    </p>
  );
}
