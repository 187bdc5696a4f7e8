/** From what the form says to what the market is asked to run. Who controls the inputs: whoever fills in the form. */
import { InputError, type RunInput } from "@xenoservers/sdk";

/** As it is typed. */
export interface Form {
  program: { kind: "python"; text: string } | { kind: "module"; bytes: Uint8Array };
  /** A line each. */
  args: string;
  stdin: string;
  budget: string;
  maxTime: string;
  label: string;
}

export const linesIn = (text: string): string[] => (text.trim() === "" ? [] : text.replace(/\n$/, "").split("\n"));

function whatOf(program: Form["program"]): Pick<RunInput, "python" | "module"> {
  if (program.kind === "python" && program.text.trim() === "") throw new InputError("the script is empty: write what is to run");
  if (program.kind === "python") return { python: { source: program.text } };
  if (program.bytes.length === 0) throw new InputError("choose a .wasm file");
  return { module: program.bytes };
}

/** Throws InputError; what else is wrong with it the SDK says before anything is signed. */
export function runInputOf({ program, args, stdin, budget, maxTime, label }: Form): RunInput {
  return {
    ...whatOf(program),
    ...{ args: linesIn(args), stdin, budget: budget.trim() },
    ...(maxTime.trim() === "" ? {} : { maxTime: maxTime.trim() }),
    ...(label.trim() === "" ? {} : { label: label.trim() }),
  };
}
