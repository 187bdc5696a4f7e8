/** What is to run, as it is typed. */
import { useId, useState, type ReactNode, type SubmitEvent } from "react";
import { WORK_DEFAULTS } from "@xenoservers/sdk";
import type { Form } from "./program.ts";

const EXAMPLE = 'print("hello from somebody else’s computer")\n';
const KINDS = ["python", "module"] as const;
const NAMES: Readonly<Record<(typeof KINDS)[number], string>> = { python: "Python script", module: "WebAssembly module" };

interface RunFormProps {
  quote(form: Form): void;
  /** What was quoted holds no more. */
  changed(): void;
  isBusy: boolean;
  /** The only label that this key may order under; null: any. */
  label: string | null;
}

async function programIn(data: FormData, kind: (typeof KINDS)[number]): Promise<Form["program"]> {
  if (kind === "python") return { kind, text: String(data.get("script") ?? "") };
  const file = data.get("module");
  if (!(file instanceof File)) return { kind, bytes: new Uint8Array() };
  return { kind, bytes: new Uint8Array(await file.arrayBuffer()) };
}

export function RunForm({ quote, changed, isBusy, label }: RunFormProps): ReactNode {
  const [kind, setKind] = useState<(typeof KINDS)[number]>("python");
  const ids = { script: useId(), module: useId(), args: useId(), stdin: useId(), budget: useId(), time: useId(), label: useId() };
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const text = (name: string): string => String(data.get(name) ?? "");
    const { args, stdin, budget, maxTime } = { args: text("args"), stdin: text("stdin"), budget: text("budget"), maxTime: text("maxTime") };
    void programIn(data, kind).then((program) => quote({ program, args, stdin, budget, maxTime, label: label ?? text("label") }));
  };
  return (
    <form className="run" aria-label="Run" onSubmit={submit} onChange={changed}>
      <fieldset>
        <legend>What</legend>
        {KINDS.map((each) => (
          <label key={each} className="choice">
            <input type="radio" name="kind" value={each} checked={kind === each} onChange={() => setKind(each)} />
            {NAMES[each]}
          </label>
        ))}
      </fieldset>
      <div className="field wide-field" hidden={kind !== "python"}>
        <label htmlFor={ids.script}>Script</label>
        <textarea id={ids.script} name="script" rows={8} spellCheck={false} defaultValue={EXAMPLE} />
      </div>
      <div className="field wide-field" hidden={kind !== "module"}>
        <label htmlFor={ids.module}>Module (.wasm)</label>
        <input id={ids.module} name="module" type="file" accept=".wasm,application/wasm" />
      </div>
      <div className="field">
        <label htmlFor={ids.args}>Arguments, a line each</label>
        <textarea id={ids.args} name="args" rows={2} spellCheck={false} />
      </div>
      <div className="field">
        <label htmlFor={ids.stdin}>Standard input</label>
        <textarea id={ids.stdin} name="stdin" rows={2} spellCheck={false} />
      </div>
      <div className="field">
        <label htmlFor={ids.budget}>Budget</label>
        <input id={ids.budget} name="budget" defaultValue={WORK_DEFAULTS.budget} inputMode="decimal" required />
      </div>
      <div className="field">
        <label htmlFor={ids.time}>Longest time (10m, 2h; may be empty)</label>
        <input id={ids.time} name="maxTime" />
      </div>
      {label === null && (
        <div className="field">
          <label htmlFor={ids.label}>Label</label>
          <input id={ids.label} name="label" maxLength={64} autoComplete="off" />
        </div>
      )}
      <div className="field end">
        <button type="submit" disabled={isBusy}>
          {isBusy ? "Asking the market" : "Show what it costs"}
        </button>
      </div>
    </form>
  );
}
