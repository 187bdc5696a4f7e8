/** A small form: what is to run, what it may cost; the quote is shown before anything is signed. */
import { useState, type ReactNode } from "react";
import type { PreparedRun } from "@xenoservers/sdk";
import type { Access } from "./access.ts";
import { linkToLease } from "./place.ts";
import { Problem } from "./problem.tsx";
import { runInputOf, type Form } from "./program.ts";
import { QuoteView } from "./quote-view.tsx";
import { RunForm } from "./run-form.tsx";

interface Ready {
  run: PreparedRun;
  /** What may be spent now. */
  available: bigint;
}

async function readied({ market }: Access, form: Form): Promise<Ready> {
  const run = await market.prepare(runInputOf(form));
  const { balances } = await market.accounts();
  return { run, available: BigInt(balances.available) };
}

export function RunView({ access, currency }: { access: Access; currency: string }): ReactNode {
  const [ready, setReady] = useState<Ready | null>(null);
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
  const order = (run: PreparedRun): void =>
    during(async () => {
      location.hash = linkToLease(await access.order(run));
    });
  if (!access.may("spend"))
    return (
      <>
        <h1>Run</h1>
        <p>This key may not spend: use one that may.</p>
      </>
    );
  return (
    <>
      <h1>Run</h1>
      <p className="lead">A Python script, or a WebAssembly module for WASI. You see what it costs at most before anything is ordered.</p>
      <RunForm quote={quote} changed={() => setReady(null)} isBusy={isBusy} label={access.client.identity.leaseLabel} />
      <Problem error={error} what="It does not run" />
      {ready && <QuoteView {...ready} currency={currency} isBusy={isBusy} order={() => order(ready.run)} />}
    </>
  );
}
