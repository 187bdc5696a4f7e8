/** One lease: where it stands, what it costs, what it prints, what was signed about it. */
import { useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import { DRIVERS, isLive } from "@xenoservers/market";
import type { LeaseView as Lease } from "@xenoservers/protocol";
import { shortId } from "@xenoservers/sdk";
import type { Access } from "./access.ts";
import { driverIn } from "./lease-driver.ts";
import { costOf, endText, shortState, stateText } from "./lease-words.ts";
import { useMachinePart } from "./machine-part.ts";
import { OutputView } from "./output-view.tsx";
import { Facts, Id } from "./parts.tsx";
import { Problem, Unread, Waiting } from "./problem.tsx";
import { ReceiptView } from "./receipt-view.tsx";
import { Timeline } from "./timeline.tsx";
import { useNews, useReading } from "./use-reading.ts";
import { useStop } from "./use-stop.ts";
import { duration, mebibytes, money, said, when } from "./words.ts";

const EVERY_MS = 5_000;

function costText(lease: Lease, currency: string): string {
  const { nanos, isFinal, used } = costOf(lease);
  if (isFinal && nanos !== null) return `${money(nanos, currency)} for ${used}, ${money(lease.end?.refundNanos ?? "0", currency)} back`;
  const soFar =
    nanos === null ? `runs for ${used}; its bill is by work and comes at its end` : `${money(nanos, currency)} so far, for ${used}`;
  return `${soFar}; at most ${money(lease.holdNanos, currency)}`;
}

function LeaseFacts({ lease, currency }: { lease: Lease; currency: string }): ReactNode {
  const { state, end, server, owner, resources, terms, durationMsMax, issuedAt, label } = lease;
  const rows: [string, ReactNode][] = [
    ["state", <span key="state">{stateText(state)}</span>],
    ...(end
      ? [
          [
            "end",
            <span key="end" className={shortState(lease).tone}>
              {endText(end)}
            </span>,
          ] satisfies [string, ReactNode],
        ]
      : []),
    ["cost", costText(lease, currency)],
    ...(label === "" ? [] : [["label", said(label)] satisfies [string, ReactNode]]),
    [
      "server",
      <span key="server">
        <Id of={server} /> of <Id of={owner} />
      </span>,
    ],
    ["room", `${resources.vcpu} vCPU, ${mebibytes(resources.memoryMib)} memory, ${mebibytes(resources.diskMib)} disk`],
    ["terms", `${terms}, for at most ${duration(durationMsMax)}`],
    ["ordered", when(issuedAt)],
  ];
  return <Facts of={rows} />;
}

export function LeaseView({ access, lease: id, currency }: { access: Access; lease: string; currency: string }): ReactNode {
  const news = useNews(access.news);
  const readLease = useCallback((signal: AbortSignal) => access.client.read("lease", { params: { id }, signal }), [access, id]);
  const readDocuments = useCallback(
    (signal: AbortSignal) => access.client.read("receipt", { params: { id }, query: { limit: 1_000, brief: "true" }, signal }),
    [access, id],
  );
  const reading = useReading(readLease, EVERY_MS, news);
  const { value: lease, error } = reading;
  const receipt = useReading(readDocuments, EVERY_MS, news);
  const { stopping, stop, error: notStopped } = useStop(access);
  const whole = lease?.id ?? null;
  const isOwn = lease?.customer === access.party;
  const [attempt, setAttempt] = useState(0);
  // another attempt at what failed is another one to follow
  const followed = useMemo(() => (whole !== null && isOwn && attempt >= 0 ? access.follow(whole) : null), [access, whole, isOwn, attempt]);
  useEffect(() => () => void (whole !== null && access.unfollow(whole)), [access, whole]);
  const driver = receipt.value && driverIn(access.client.crypto, receipt.value);
  const isMachine = isOwn && driver !== null && DRIVERS[driver].can.console;
  const { part, error: notLoaded } = useMachinePart(isMachine);
  if (!lease) return error === null ? <Waiting what="Reading the lease" /> : <Unread reading={reading} what="The lease cannot be read" />;
  return (
    <>
      <div className="title">
        <h1>
          Lease <code>{shortId(lease.id)}</code>
        </h1>
        {stop && isOwn && isLive(lease.state) && (
          <button type="button" className="danger" disabled={stopping.has(lease.id)} onClick={() => stop(lease.id)}>
            {stopping.has(lease.id) ? "Stopping" : "Stop"}
          </button>
        )}
      </div>
      <Unread reading={reading} what="How it stands now cannot be read" />
      <Problem error={notStopped} what="It was not stopped" />
      <LeaseFacts lease={lease} currency={currency} />
      <Problem error={notLoaded} what="What machines take cannot be loaded" isRead />
      {followed && (
        <OutputView
          followed={followed}
          again={() => setAttempt((count) => count + 1)}
          shown={part && isMachine && <part.MachineView {...{ access, followed, lease, currency }} />}
        />
      )}
      <section aria-labelledby="history">
        <h2 id="history">What was signed</h2>
        {error === null && <Unread reading={receipt} what="Its documents cannot be read" />}
        {receipt.value && <Timeline {...receipt.value} />}
      </section>
      <ReceiptView access={access} lease={lease.id} />
    </>
  );
}
