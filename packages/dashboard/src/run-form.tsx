/** What is to run, as it is typed. */
import { useId, useState, type ReactNode, type SubmitEvent } from "react";
import { WORK_DEFAULTS } from "@xenoservers/sdk";
import { assertHolds, type Form } from "./program.ts";
import { said } from "./words.ts";

const EXAMPLE = 'print("hello from somebody else’s computer")\n';

/** What sort of program it is. */
export type ProgramKind = Form["program"]["kind"];

interface RunFormProps {
  kind: ProgramKind;
  quote(form: Form): void;
  /** What was quoted holds no more. */
  changed(): void;
  /** A file cannot be read. */
  failed(error: unknown): void;
  isBusy: boolean;
  currency: string;
  /** The only label that this key may order under; null: any. */
  label: string | null;
}

const chosenIn = (data: FormData, name: string): File[] =>
  data.getAll(name).filter((each) => each instanceof File && each.name !== "") as File[];

const bytesIn = async (file: File): Promise<Uint8Array> => new Uint8Array(await file.arrayBuffer());

async function programIn(data: FormData, kind: ProgramKind): Promise<Form["program"]> {
  if (kind === "python") return { kind, text: String(data.get("script") ?? "") };
  const [file] = chosenIn(data, "module");
  return { kind, bytes: file ? await bytesIn(file) : new Uint8Array() };
}

async function formIn(data: FormData, kind: ProgramKind, label: string | null): Promise<Form> {
  const text = (name: string): string => String(data.get(name) ?? "");
  const chosen = chosenIn(data, "files");
  assertHolds([...chosen, ...chosenIn(data, "module").filter(() => kind === "module")]);
  const files = chosen.map(async (file) => ({ name: file.name, bytes: await bytesIn(file) }));
  return {
    ...{ program: await programIn(data, kind), files: await Promise.all(files), isEach: data.has("each") },
    ...{ args: text("args"), stdin: text("stdin"), budget: text("budget"), maxTime: text("maxTime"), label: label ?? text("label") },
  };
}

interface FilesFieldProps {
  isEach: boolean;
  setIsEach(is: boolean): void;
}

function FilesField({ isEach, setIsEach }: FilesFieldProps): ReactNode {
  const [files, each] = [useId(), useId()];
  return (
    <div className="field wide-field">
      <label htmlFor={files}>Files that it reads in /in (may be none)</label>
      <input id={files} name="files" type="file" multiple />
      <p className="check">
        <input id={each} name="each" type="checkbox" checked={isEach} onChange={(event) => setIsEach(event.currentTarget.checked)} />
        <label htmlFor={each}>A run for each file, its path behind the arguments or in place of {"{}"}</label>
      </p>
    </div>
  );
}

export function RunForm({ kind, quote, changed, failed, isBusy, label, currency }: RunFormProps): ReactNode {
  const [isEach, setIsEach] = useState(false);
  const ids = {
    script: useId(),
    module: useId(),
    files: useId(),
    each: useId(),
    args: useId(),
    stdin: useId(),
    budget: useId(),
    time: useId(),
    label: useId(),
  };
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    void formIn(new FormData(event.currentTarget), kind, label).then(quote, failed);
  };
  return (
    <form className="run" aria-label="Run" onSubmit={submit} onChange={changed}>
      <div className="field wide-field" hidden={kind !== "python"}>
        <label htmlFor={ids.script}>Script</label>
        <textarea id={ids.script} name="script" rows={8} spellCheck={false} defaultValue={EXAMPLE} />
      </div>
      <div className="field wide-field" hidden={kind !== "module"}>
        <label htmlFor={ids.module}>Module (.wasm)</label>
        <input id={ids.module} name="module" type="file" accept=".wasm,application/wasm" />
      </div>
      <FilesField isEach={isEach} setIsEach={setIsEach} />
      <div className="field">
        <label htmlFor={ids.args}>Arguments, a line each</label>
        <textarea id={ids.args} name="args" rows={2} spellCheck={false} />
      </div>
      <div className="field">
        <label htmlFor={ids.stdin}>Standard input</label>
        <textarea id={ids.stdin} name="stdin" rows={2} spellCheck={false} />
      </div>
      <div className="field">
        <label htmlFor={ids.budget}>
          Budget{isEach ? " for all of them" : ""}, in {said(currency, 20)}
        </label>
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
