/** From what the form says to what the market is asked to run. Who controls the inputs: whoever fills in the form. */
import { parseAmount, InputError, type RunInput } from "@xenoservers/sdk";

interface ChosenFile {
  name: string;
  bytes: Uint8Array;
}

/** As it is typed. */
export interface Form {
  program: { kind: "python"; text: string } | { kind: "module"; bytes: Uint8Array };
  /** A line each. */
  args: string;
  stdin: string;
  budget: string;
  maxTime: string;
  label: string;
  files: readonly ChosenFile[];
  /** A run for each file, in place of one for all of them. */
  isEach: boolean;
}

/** What a page holds at once, and a table shows. */
const RUNS_MAX = 64;
const FILES_BYTES_MAX = 32 * 1024 * 1024;
/** Where a file's path goes among the arguments. */
const PATH_HERE = "{}";
/** A run for each waits for room, as the ones before it end. */
const EACH_WAITS = "1h";

/** Before their bytes are read, which a page's memory would have to hold. Throws InputError. */
export function assertHolds(files: readonly { name: string; size: number }[]): void {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size > FILES_BYTES_MAX)
    throw new InputError(`the files have ${size} bytes: a page takes ${FILES_BYTES_MAX}; xeno run --in DIR takes more`);
  const twice = files.find(({ name }, i) => files.findIndex((each) => each.name === name) < i);
  if (twice) throw new InputError(`two of the files are called ${twice.name}: in /in they would be one`);
}

export const linesIn = (text: string): string[] => (text.trim() === "" ? [] : text.replace(/\n$/, "").split("\n"));

function whatOf(program: Form["program"]): Pick<RunInput, "python" | "module"> {
  if (program.kind === "python" && program.text.trim() === "") throw new InputError("the script is empty: write what is to run");
  if (program.kind === "python") return { python: { source: program.text } };
  if (program.bytes.length === 0) throw new InputError("choose a .wasm file");
  return { module: program.bytes };
}

function commonOf({ program, args, stdin, maxTime, label }: Form): Omit<RunInput, "budget" | "files"> {
  return {
    ...whatOf(program),
    ...{ args: linesIn(args), stdin },
    ...(maxTime.trim() === "" ? {} : { maxTime: maxTime.trim() }),
    ...(label.trim() === "" ? {} : { label: label.trim() }),
  };
}

const within = (args: readonly string[], path: string): string[] =>
  args.some((arg) => arg.includes(PATH_HERE)) ? args.map((arg) => arg.replaceAll(PATH_HERE, () => path)) : [...args, path];

export interface NamedRun {
  /** Of its file; empty: it is the only one. */
  name: string;
  input: RunInput;
}

/** One, or for each file one with its share of the budget. Throws InputError; what else is wrong the SDK says before anything is signed. */
export function runsOf(form: Form): readonly [NamedRun, ...NamedRun[]] {
  const { files, budget, isEach } = form;
  const common = commonOf(form);
  if (!isEach) {
    const all = files.length === 0 ? {} : { files: Object.fromEntries(files.map(({ name, bytes }) => [name, bytes])) };
    return [{ name: "", input: { ...common, ...all, budget: budget.trim() } }];
  }
  if (files.length > RUNS_MAX)
    throw new InputError(`these are ${files.length} files: a page runs for ${RUNS_MAX} at most; xeno map takes more`);
  const share = parseAmount(budget.trim(), "the budget") / BigInt(Math.max(files.length, 1));
  const [first, ...others] = files.map(({ name, bytes }) => {
    const args = within(common.args ?? [], `/in/${name}`);
    return { name, input: { ...common, args, files: { [name]: bytes }, budget: share, wait: EACH_WAITS } };
  });
  if (!first) throw new InputError("choose the files that it is to run for");
  return [first, ...others];
}
