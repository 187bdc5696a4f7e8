/** A lease's receipt, verified in this page by the pinned keys: each line proved, claimed or failed, as `xeno verify` says it. */
import { useState, type ReactNode } from "react";
import { fetchReceipt } from "@xenoservers/sdk";
import type { Line, ReceiptVerification } from "@xenoservers/verify";
import type { Receipt } from "@xenoservers/protocol";
import type { Access } from "./access.ts";
import { downloaded } from "./downloaded.ts";
import { Table } from "./parts.tsx";
import { Problem } from "./problem.tsx";
import { said } from "./words.ts";

const SAYS_MAX = 600;
const TONE: Readonly<Record<Line["status"], string>> = { proved: "good", claimed: "warn", failed: "bad" };

function summary({ ok, lines }: ReceiptVerification): string {
  if (!ok) return "This receipt does NOT hold: see the failed line.";
  const count = (status: Line["status"]): number => lines.filter((line) => line.status === status).length;
  const claims = count("claimed");
  const rest = claims === 0 ? "" : `; ${claims} claimed: one party’s word, or resting on what the log does not hold`;
  return `Nothing in it is wrong: ${count("proved")} lines proved${rest}.`;
}

interface Verified {
  receipt: Receipt;
  verification: ReceiptVerification;
}

async function verified({ market, client }: Access, lease: string): Promise<Verified> {
  const receipt = await fetchReceipt(client, lease);
  return { receipt, verification: await market.verify(receipt) };
}

export function ReceiptView({ access, lease }: { access: Access; lease: string }): ReactNode {
  const [found, setFound] = useState<Verified | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setIsBusy] = useState(false);
  const verify = (): void => {
    setIsBusy(true);
    setError(null);
    void verified(access, lease)
      .then(setFound, setError)
      .finally(() => setIsBusy(false));
  };
  const save = ({ receipt }: Verified): void => downloaded(`${lease}.receipt.json`, new TextEncoder().encode(JSON.stringify(receipt)));
  return (
    <section aria-labelledby="receipt">
      <h2 id="receipt">Receipt</h2>
      <p>
        <button type="button" onClick={verify} disabled={isBusy}>
          {isBusy ? "Verifying" : "Verify the receipt"}
        </button>{" "}
        {found && (
          <button type="button" className="plain" onClick={() => save(found)}>
            Save it as a file
          </button>
        )}
      </p>
      <Problem error={error} what="The receipt cannot be verified" isRead />
      {found && (
        <>
          <p role="status" className={found.verification.ok ? "good" : "bad"}>
            {summary(found.verification)}
          </p>
          <Table label="Receipt" heads={["status", "what", "says"]}>
            {found.verification.lines.map(({ status, check, says }) => (
              <tr key={check}>
                <td>
                  <span className={`state ${TONE[status]}`}>{status === "failed" ? "FAILED" : status}</span>
                </td>
                <td>{check}</td>
                <td>{said(says, SAYS_MAX)}</td>
              </tr>
            ))}
          </Table>
          <p className="quiet">
            A page that the broker serves says so; <code>xeno verify</code> with the saved file says it without the broker.
          </p>
        </>
      )}
    </section>
  );
}
