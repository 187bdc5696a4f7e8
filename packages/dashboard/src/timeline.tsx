/** What was signed about a lease, in order: who says it follows from the kind, when from the log. */
import type { ReactNode } from "react";
import type { Receipt } from "@xenoservers/protocol";
import { saysOf } from "./kinds.ts";
import { said, when } from "./words.ts";

const CLAIMS: readonly string[] = ["claim", "claim-receipt"];
const CLAIMS_SHOWN = 3;

type Document = Receipt["documents"][number];

/** Of many statements of use in a row the last are enough. */
function shortened(documents: readonly Document[]): readonly (Document | number)[] {
  const claims = documents.filter(({ kind }) => CLAIMS.includes(kind));
  const left = new Set(claims.slice(0, -2 * CLAIMS_SHOWN));
  if (left.size === 0) return documents;
  const first = documents.findIndex((each) => left.has(each));
  return documents.flatMap((each, i): (Document | number)[] => (left.has(each) ? (i === first ? [left.size] : []) : [each]));
}

export function Timeline({ documents }: { documents: readonly Document[] }): ReactNode {
  const inOrder = documents.toSorted((a, b) => a.at - b.at);
  return (
    <ol className="timeline" aria-label="Timeline">
      {shortened(inOrder).map((each) =>
        typeof each === "number" ? (
          <li key="left" className="quiet">
            {each} earlier statements of use
          </li>
        ) : (
          <li key={each.id}>
            <time dateTime={when(each.at)}>{when(each.at)}</time> <span>{saysOf(each.kind) ?? said(each.kind)}</span>{" "}
            <span className="quiet">
              <code>{said(each.kind, 40)}</code> {each.index === null ? "not in the log yet" : `entry ${each.index}`}
            </span>
          </li>
        ),
      )}
    </ol>
  );
}
