/** A small form: what is to run, what it may cost; the quote is shown before anything is signed. */
import { useState, type ReactNode } from "react";
import type { PreparedRun } from "@xenoservers/sdk";
import type { Access } from "./access.ts";
import { useMachinePart } from "./machine-part.ts";
import { linkToLease } from "./place.ts";
import { Problem, Waiting } from "./problem.tsx";
import { runsOf, type Form, type NamedRun } from "./program.ts";
import { QuoteView } from "./quote-view.tsx";
import { RunForm, type ProgramKind } from "./run-form.tsx";
import { SeveralView } from "./several-view.tsx";
import type { Several } from "./several.ts";

interface Ready {
  /** What sort of program was quoted. */
  kind: ProgramKind;
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
  return { kind: form.program.kind, run, runs, isEach: form.isEach, available: BigInt(balances.available) };
}

const KINDS = ["python", "module", "machine"] as const;
type Kind = (typeof KINDS)[number];
const NAMES: Readonly<Record<Kind, string>> = {
  python: "Python script",
  module: "WebAssembly module",
  machine: "Machine or container",
};

interface ViewProps {
  access: Access;
  currency: string;
}

function ProgramRun({ access, currency, kind, begun }: ViewProps & { kind: ProgramKind; begun(several: Several): void }): ReactNode {
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
  const order = ({ run, runs, isEach }: Ready): void =>
    during(async () => {
      if (isEach) {
        setReady(null);
        return begun(access.begin(runs));
      }
      location.hash = linkToLease(await access.order(run));
    });
  return (
    <>
      <p className="lead">A Python script, or a WebAssembly module for WASI. You see what it costs at most before anything is ordered.</p>
      <RunForm
        kind={kind}
        quote={quote}
        failed={setError}
        changed={() => setReady(null)}
        isBusy={isBusy}
        label={access.client.identity.leaseLabel}
        currency={currency}
      />
      <Problem error={error} what="It does not run" />
      {/* what was quoted for a script is no quote for a module */}
      {ready?.kind === kind && (
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

function MachineRun(props: ViewProps): ReactNode {
  const { part, error } = useMachinePart(true);
  if (part) return <part.MachineRun {...props} />;
  return error === null ? <Waiting what="Loading what machines take" /> : <Problem error={error} what="Machines cannot be loaded" isRead />;
}

export function RunView({ access, currency }: ViewProps): ReactNode {
  const [kind, setKind] = useState<Kind>("python");
  const [program, setProgram] = useState<ProgramKind>("python");
  const [several, setSeveral] = useState(access.several);
  const choose = (chosen: Kind): void => {
    setKind(chosen);
    if (chosen !== "machine") setProgram(chosen);
  };
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
      <fieldset className="kinds">
        <legend>What</legend>
        {KINDS.map((each) => (
          <label key={each} className="choice">
            <input type="radio" name="kind" value={each} checked={kind === each} onChange={() => choose(each)} />
            {NAMES[each]}
          </label>
        ))}
      </fieldset>
      {/* what was typed stays */}
      <div hidden={kind === "machine"}>
        <ProgramRun {...{ access, currency, kind: program }} begun={setSeveral} />
      </div>
      {kind === "machine" && <MachineRun access={access} currency={currency} />}
    </>
  );
}
