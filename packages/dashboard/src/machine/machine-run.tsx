/** A machine is described, quoted and ordered; what was asked for last is what is quoted. */
import { useEffect, useRef, useState, type ReactNode } from "react";
import type { PreparedRun } from "@xenoservers/sdk";
import type { ReadProgress } from "@xenoservers/sdk/machines";
import type { Access } from "../access.ts";
import { linkToLease } from "../place.ts";
import { Problem } from "../problem.tsx";
import { QuoteView } from "../quote-view.tsx";
import { said } from "../words.ts";
import { MachineFormView } from "./machine-form.tsx";
import { machineInput, unreadable, type MachineForm } from "./machine-input.ts";
import { marketOf } from "./market.ts";
import { ReadView } from "./read-view.tsx";
import { Reading, type Read } from "./reading.ts";

interface Ready {
  run: PreparedRun;
  available: bigint;
  /** It was chosen, not found. */
  isChosen: boolean;
  /** What it is, in the SDK's words. */
  notes: readonly string[];
}

type OnRead = (progress: ReadProgress) => void;

async function readied(access: Access, form: MachineForm, signal: AbortSignal, onRead: OnRead): Promise<Ready> {
  const notes: string[] = [];
  const run = await marketOf(access)
    .prepare({ ...machineInput(form), signal, onRead, onNote: (note) => void notes.push(note) })
    .catch(unreadable);
  const { balances } = await access.market.accounts({ signal });
  return { run, available: BigInt(balances.available), isChosen: form.server !== "", notes };
}

export function MachineRun({ access, currency }: { access: Access; currency: string }): ReactNode {
  const [ready, setReady] = useState<Ready | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  /** Null: nothing is being read. */
  const [read, setRead] = useState<Read | null>(null);
  /** A large file is read for a while: another word of the form calls it off. */
  const asking = useRef<AbortController | null>(null);
  const callOff = (): void => {
    asking.current?.abort();
    asking.current = null;
  };
  useEffect(() => callOff, []);
  const changed = (): void => {
    callOff();
    setReady(null);
    setRead(null);
    setIsBusy(false);
  };
  const quote = (form: MachineForm): void => {
    changed();
    const asked = new AbortController();
    asking.current = asked;
    setIsBusy(true);
    setError(null);
    const reading = new Reading();
    const onRead: OnRead = (progress) => {
      const shown = reading.told(progress, performance.now());
      if (shown && !asked.signal.aborted) setRead(shown);
    };
    void readied(access, form, asked.signal, onRead)
      .then(
        (found) => asked.signal.aborted || setReady(found),
        (why: unknown) => asked.signal.aborted || setError(why),
      )
      .finally(() => {
        if (asked.signal.aborted) return;
        setRead(null);
        setIsBusy(false);
      });
  };
  const order = (run: PreparedRun): void => {
    setIsBusy(true);
    setError(null);
    void access
      .order(run, { market: marketOf(access) })
      .then((lease) => (location.hash = linkToLease(lease)), setError)
      .finally(() => setIsBusy(false));
  };
  return (
    <>
      <p className="lead">A whole computer, or a container, from a file of yours: it goes from this page to its server, piece by piece.</p>
      <MachineFormView quote={quote} changed={changed} isBusy={isBusy} label={access.client.identity.leaseLabel} currency={currency} />
      {read && <ReadView read={read} callOff={changed} />}
      <Problem error={error} what="It does not run" />
      {ready && (
        <>
          <QuoteView
            {...{ run: ready.run, available: ready.available, isChosen: ready.isChosen, currency, isBusy }}
            runs={1}
            order={() => order(ready.run)}
          />
          {ready.notes.length > 0 && <pre className="quiet notes">{ready.notes.map((note) => said(note)).join("\n")}</pre>}
        </>
      )}
    </>
  );
}
