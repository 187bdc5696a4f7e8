/** `xeno map`: one program on many files, so many at once within one budget. Outputs in the order of the inputs, progress on stderr. */
import path from "node:path";
import {
  LeftUndoneError,
  Market,
  MarketError,
  PYTHON_FILE,
  assertPlaceFor,
  currentContext,
  dropMap,
  dropOldMaps,
  namelessMap,
  scopeProblem,
  shellWord,
  shortId,
  type JobResult,
  type Mapped,
  type RunInput,
} from "@xenoservers/sdk";
import { watched } from "../input/client.ts";
import { BETWEEN, PLACE, argsAndInputs, argsFor, assertApart, filesMeant, nameIn, namesFrom, shownAs } from "../input/map-words.ts";
import { environmentOf } from "../input/environment.ts";
import { stopsOnExit } from "../input/on-exit.ts";
import { programOf } from "../input/program.ts";
import { pythonWords, type PythonWords } from "../input/python-words.ts";
import type { MapInput } from "../input/verbs/map.ts";
import { encodedStreams } from "../output/encoded.ts";
import { onSignals } from "../output/interrupt.ts";
import { leave } from "../output/leave.ts";
import { MapLine, leftText } from "../output/map-lines.ts";
import { tagged } from "../output/tagged.ts";
import { dim, printJson, red, say, showRaw, yellow } from "../output/terminal.ts";
import { EXIT } from "../output/exit.ts";
import { UserError, countOf } from "../output/ui.ts";

const FAILED = 1;
/** Of all together, where nothing is said. */
const USUAL_BUDGET = 1_000_000_000n;

interface Asked {
  program: Pick<RunInput, "python" | "module" | "image">;
  args: string[];
  /** Of the program, beside what is typed for it. */
  env: PythonWords["env"];
  /** Files, or numbers. */
  inputs: string[];
  /** How people are told of which one something is. */
  called(input: string): string;
}

/** What one job is given: a file, where it lies; or a number, as it is. */
function givenTo(args: readonly string[], env: Readonly<Record<string, string>>, at: string, isNumber: boolean): RunInput {
  if (isNumber) return { args: args.map((each) => each.replaceAll(PLACE, at)), env: { ...env, XENO_INDEX: at } };
  return { args: argsFor(args, `/in/${nameIn(at)}`), env, files: { [nameIn(at)]: { path: at } } };
}

/** What `xeno run` would make of the same words. */
async function programIn(typed: { file: string; args: string[] }): Promise<Omit<Asked, "inputs" | "called">> {
  const python = await pythonWords(typed);
  if (python?.script === "stdin") throw new UserError(`${typed.file} what? name the script before --: xeno map script.py -- FILES`);
  if (python) {
    const { script, args, env, unsaid } = python;
    if (unsaid !== null) throw new UserError(`${typed.file} ${unsaid} is for xeno run: a map's script has what variables say (--env)`);
    return { program: { python: "file" in script ? script.file : script }, args, env };
  }
  const { file, args, kind } = await programOf(typed);
  const isModule = kind === undefined ? file.endsWith(".wasm") : kind === "module";
  const isPython = kind === undefined ? PYTHON_FILE.test(file) : !isModule;
  return { program: isPython ? { python: file } : isModule ? { module: file } : { image: file }, args, env: [] };
}

function runOf({ program, args, env: own, called }: Asked, input: MapInput): (at: string) => RunInput {
  const { maxPrice, maxFee, maxTime, maxFuel, maxOutput, assurance, pay, on, where, cpu, mem, disk, label, account } = input;
  const bounds: RunInput = {
    ...{ maxOutput, assurance, on, where, cpu },
    ...(input.each === null ? {} : { budget: input.each }),
    ...(maxTime === null ? {} : { maxTime }),
    ...(maxFuel === null ? {} : { maxFuel: Number(maxFuel / 1_000_000_000n) }),
    ...(maxPrice === null ? {} : { maxPrice }),
    ...(input.forgetInputs ? { forgetInputs: true } : {}),
    ...(maxFee === null ? {} : { maxFee: `${maxFee / 100}%` }),
    ...(pay === null ? {} : { pay }),
    ...(mem === null ? {} : { mem }),
    ...(disk === null ? {} : { disk }),
    ...(label === null ? {} : { label }),
    ...(account === null ? {} : { account }),
  };
  const env = Object.fromEntries([...environmentOf(input), ...own]);
  return (at) => ({
    ...program,
    ...bounds,
    ...givenTo(args, env, at, input.array !== null),
    ...(input.out === null ? {} : { out: path.join(input.out, nameIn(at)) }),
    onWarning: (text) => void (input.quiet || input.json || say(yellow(`         ${called(at)}: ${text}`))),
  });
}

async function asked({ file: typed, words, out, array, null: isNulled }: MapInput): Promise<Asked> {
  const isSplit = array === null || words.includes(BETWEEN);
  const { args: typedArgs, inputs: named } = isSplit ? argsAndInputs(words) : { args: words, inputs: [] };
  if (array !== null && named.length > 0) throw new UserError("--array runs on numbers: leave out the files behind --, or --array");
  const isPiped = named.join() === "-";
  if (isNulled && !isPiped) throw new UserError("--null is for names that are piped in: find … -print0 | xeno map -0 script.py -- -");
  const program = await programIn({ file: typed, args: typedArgs });
  const inputs = array?.map(String) ?? (isPiped ? await namesFrom(process.stdin, isNulled) : await filesMeant(named));
  if (out !== null) {
    assertApart(inputs);
    await assertPlaceFor(out);
  }
  return { ...program, inputs, called: shownAs(inputs) };
}

function jsonOf({ index, input, ok, isEarlier, isReused, result, ...more }: Mapped<string>): Record<string, unknown> {
  const error = "error" in more && result === null ? { code: codeOf(more.error), says: more.error.message } : null;
  const place = { lease: result?.lease ?? null, run: result?.run?.index ?? null };
  const head = { index, input, ok, earlier: isEarlier, reused: isReused, ...place };
  if (!result) return { ...head, end: null, error };
  const { end, exitCode, bill, detail, files, printed } = result;
  return {
    ...head,
    end: { ...end, exitCode, dueNanos: bill.dueNanos.toString() },
    ...{ detail, files: files.map(({ name, size, digest }) => ({ name, size, digest })) },
    ...encodedStreams({ stdout: [printed.stdout], stderr: [printed.stderr] }),
    error,
  };
}

const codeOf = (error: Error): string => (error instanceof MarketError ? error.code : "failed");

/** What one came to, on both streams. */
async function show(each: Mapped<string>, name: string, input: MapInput, line: MapLine): Promise<void> {
  if (input.json) return printJson(jsonOf(each));
  const { result } = each;
  line.clear();
  if (result) await showStreams(result, input.tag ? name : null);
  if (each.ok || input.quiet) return;
  const lease = result ? `; look at it: xeno lease show ${shortId(result.lease)}${result.run ? ` (its run ${result.run.index})` : ""}` : "";
  say(red(`failed   ${name}: ${each.error.message}${lease}`));
}

async function showStreams({ printed, isCut, lease }: JobResult, tag: string | null): Promise<void> {
  for (const stream of ["stdout", "stderr"] as const) await showRaw(stream, tag === null ? printed[stream] : tagged(tag, printed[stream]));
  if (isCut) say(yellow(`         of what it printed the first MiB is shown; all of it: xeno logs ${shortId(lease)}`));
}

/** What is wrong with the program is said once, and not of each input. */
async function assertProgram(market: Market, { program }: Asked): Promise<void> {
  try {
    await market.here.plan(program);
  } catch (error) {
    market.close();
    throw error;
  }
}

/** The words that were typed, with the name that they go on by. */
function commandFor({ words, file }: MapInput, name: string): string {
  const typed = process.argv.slice(3);
  const known = typed.some((each) => each === "--resume" || each.startsWith("--resume="));
  const said = typed.length > 0 ? typed : [file, ...words];
  return ["xeno map", ...(known ? [] : ["--resume", name]), ...said.map(shellWord)].join(" ");
}

export async function map(input: MapInput): Promise<void> {
  const wanted = await asked(input);
  const quiet = input.quiet || input.json;
  const name = input.resume ?? namelessMap();
  const { name: known, context } = await currentContext();
  const problem = scopeProblem(known, context, ["spend", "read"]);
  if (problem !== null) throw new UserError(problem);
  const { currency } = context;
  const stops = stopsOnExit(input);
  const market = await Market.connect({
    stopOnExit: stops,
    moduleCheck: await import("@xenoservers/engine/check"),
    onWarning: (text) => say(yellow(text)),
  });
  watched(market.client);
  const run = runOf(wanted, input);
  await assertProgram(market, wanted);
  const line = new MapLine(quiet, currency);
  const off = new AbortController();
  const done = onSignals(() => {
    // a second time nothing is waited for
    if (off.signal.aborted) {
      process.exitCode = EXIT.interrupted;
      return void leave();
    }
    off.abort(new Error("interrupted"));
  });
  if (!quiet) say(dim(`map      ${name}: ${countOf(wanted.inputs.length, "input")}, ${input.parallel} at once`));
  const results = market.map(wanted.inputs, run, {
    ...{ parallel: input.parallel, retries: input.retries, resume: name, signal: off.signal, stops },
    // what nobody has said is a bound, and no sum that has to lie ready
    ...{ budget: input.budget ?? USUAL_BUDGET, hold: input.budget === null ? "each" : "once" },
    reuse: input.reuse,
    failures: input.failFast ? "raise" : "return",
    onProgress: (progress) => line.show(progress),
  });
  let failed = 0;
  let unknown = 0;
  const undone: string[] = [];
  try {
    for await (const each of results) {
      if (!each.ok) failed++;
      const isUndone = !each.ok && each.error instanceof LeftUndoneError;
      if (isUndone) undone.push(wanted.called(each.input));
      else if (each.result === null) unknown++;
      // of what is left undone all is said once, at the end; a program is told of each
      if (!isUndone || input.json) await show(each, wanted.called(each.input), input, line);
    }
  } catch (error) {
    line.end();
    if (!off.signal.aborted) throw goesOn(error, commandFor(input, name));
    process.exitCode = EXIT.interrupted;
    const ran = stops ? "what ran was stopped" : "what runs runs on";
    return say(`${ran}, what waited was withdrawn; go on with: ${commandFor(input, name)}`);
  } finally {
    done();
    market.close();
  }
  line.end();
  if (failed > 0) process.exitCode = FAILED;
  const left = leftText(undone, unknown, commandFor(input, name));
  if (left !== null) say(left);
  // a name that nobody has chosen nobody comes back to
  else if (input.resume === null) await dropMap(name);
  await dropOldMaps();
}

/** What ended all of them, with the command that goes on. */
function goesOn(error: unknown, command: string): unknown {
  if (!(error instanceof MarketError) || error.name === "BrokenPurchaseOrder") return error;
  say(`go on with: ${command}`);
  return error;
}
