/** What was signed about a lease, in order: who says it follows from the kind, when from the log. */
import type { ReactNode } from "react";
import type { Receipt } from "@xenoservers/protocol";
import { saysOf } from "./kinds.ts";
import { said, when } from "./words.ts";

/** `documents`: without claims and their receipts, of which a month has half a million; `hasMore`: others came after these. */
export function Timeline({ documents, hasMore = false }: Pick<Receipt, "documents" | "hasMore">): ReactNode {
  const inOrder = documents.toSorted((a, b) => a.at - b.at);
  return (
    <>
      <ol className="timeline" aria-label="Timeline">
        {inOrder.map((each) => (
          <li key={each.id}>
            <time dateTime={when(each.at)}>{when(each.at)}</time> <span>{saysOf(each.kind) ?? said(each.kind)}</span>{" "}
            <span className="quiet">
              <code>{said(each.kind, 40)}</code> {each.index === null ? "not in the log yet" : `entry ${each.index}`}
            </span>
          </li>
        ))}
      </ol>
      <p className="quiet">
        {hasMore && "What came after these is in the receipt alone. "}What the server states of its use every few seconds is in the receipt.
      </p>
    </>
  );
}
