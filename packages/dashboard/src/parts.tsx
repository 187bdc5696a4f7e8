/** Small parts that several views share. */
import { useState, type ReactNode } from "react";
import { shortId } from "@xenoservers/sdk";
import { said } from "./words.ts";

/** Names with what they are. */
export function Facts({ of }: { of: readonly (readonly [name: string, what: ReactNode])[] }): ReactNode {
  return (
    <dl className="facts">
      {of.map(([name, what]) => (
        <div key={name}>
          <dt>{said(name)}</dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A wide table scrolls by itself, with the keyboard too. */
export function Table({ label, heads, children }: { label: string; heads: readonly string[]; children: ReactNode }): ReactNode {
  return (
    <div className="wide" role="region" aria-label={`${label}: a table that scrolls`} tabIndex={0}>
      <table aria-label={label}>
        <thead>
          <tr>
            {heads.map((head) =>
              head === "" ? (
                <td key={head} />
              ) : (
                <th key={head} scope="col">
                  {head}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export function Id({ of }: { of: string }): ReactNode {
  return <code title={said(of)}>{said(shortId(of))}</code>;
}

/** A text that somebody may want elsewhere. */
export function Copied({ text, label }: { text: string; label: string }): ReactNode {
  const [is, setIs] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setIs(true);
  };
  return (
    <span className="copied">
      <code>{said(text)}</code>{" "}
      <button type="button" className="small" aria-label={`Copy ${label}`} onClick={() => void copy().catch(() => setIs(false))}>
        {is ? "copied" : "copy"}
      </button>
    </span>
  );
}
