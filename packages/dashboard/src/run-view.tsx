/** A small form: what is to run, what it may cost; the quote is shown before anything is signed. */
import { useState, type ReactNode } from "react";
import type { PreparedRun } from "@xenoservers/sdk";
import type { Access } from "./access.ts";
import { linkToLease } from "./place.ts";
import { Problem } from "./problem.tsx";
import { runsOf, type Form, type NamedRun } from "./program.ts";
import { QuoteView } from "./quote-view.tsx";
import { RunForm } from "./run-form.tsx";
import { SeveralView } from "./several-view.tsx";

interface Ready {
  /** The only one, or the first of those that are ordered one by one. */
  run: PreparedRun;
  runs: readonly NamedRun[];
  isEach: boolean;
  /** What may be spent now. */
  available: bigint;
}

async function readied({ market }: Access, form: Form): Promise<Ready> {
  const runs = runsOf(form);
  const run = await market.prepare(runs[0].input);
  const { balances } = await market.accounts();
  return { run, runs, isEach: form.isEach, available: BigInt(balances.available) };
}

export function RunView({ access, currency }: { access: Access; currency: string }): ReactNode {
  const [ready, setReady] = useState<Ready | null>(null);
  const [several, setSeveral] = useState(access.several);
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const during = (work: () => Promise<void>): void => {
    setIsBusy(true);
    setError(null);
    void work()
      .catch(setError)
      .finally(() => setIsBusy(false));
  };
  const quote = (form: Form): void => {
    setReady(null);
    during(async () => setReady(await readied(access, form)));
  };
  const order = ({ run, runs, isEach }: Ready): void =>
    during(async () => {
      if (isEach) {
        setReady(null);
        return setSeveral(access.begin(runs));
      }
      location.hash = linkToLease(await access.order(run));
    });
  if (!access.may("spend"))
    return (
      <>
        <h1>Run</h1>
        <p>This key may not spend: use one that may.</p>
      </>
    );
  if (several !== null)
    return (
      <>
        <h1>Run</h1>
        <SeveralView several={several} currency={currency} clear={() => setSeveral(access.cleared())} />
      </>
    );
  return (
    <>
      <h1>Run</h1>
      <p className="lead">A Python script, or a WebAssembly module for WASI. You see what it costs at most before anything is ordered.</p>
      <RunForm
        quote={quote}
        failed={setError}
        changed={() => setReady(null)}
        isBusy={isBusy}
        label={access.client.identity.leaseLabel}
        currency={currency}
      />
      <Problem error={error} what="It does not run" />
      {ready && (
        <QuoteView
          run={ready.run}
          available={ready.available}
          currency={currency}
          isBusy={isBusy}
          runs={ready.isEach ? ready.runs.length : 1}
          order={() => order(ready)}
        />
      )}
    </>
  );
}
