/** An error, with all that its table says of it. */
import type { ReactNode } from "react";
import { told } from "./problem-words.ts";
import { said } from "./words.ts";

export function Problem({ error, what }: { error: unknown; what: string }): ReactNode {
  if (error === null || error === undefined) return null;
  const { code, says, blame, money, next } = told(error);
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
        <dt>next</dt>
        <dd>{next}</dd>
      </dl>
    </div>
  );
}

export function Waiting({ what }: { what: string }): ReactNode {
  return (
    <p className="quiet" role="status">
      {what}…
    </p>
  );
}
