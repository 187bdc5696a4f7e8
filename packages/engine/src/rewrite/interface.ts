/** What a job must import and export to be run, and what it may not hold to be taken down and set up again. */
import { ADDED_MODULE } from "./added.ts";
import { Refusal } from "./binary.ts";
import { wayOut } from "./kinds.ts";
import { KIND, typeAt, typeOfFunction, type ParsedExport, type ParsedImport, type ParsedModule } from "./module.ts";
import { FUNCREF, I32, I64 } from "./opcodes.ts";
import { LAYOUTS } from "../wasi/layouts.ts";
import { NOTICES, WASI_SIGNATURES } from "../wasi/signatures.ts";

export const START = "_start";
/** What a reactor is set up by: it has nothing else that a host calls by itself. */
const SET_UP = "_initialize";
/** Some under the platform's own limit, since the rewriter adds to them. */
const VALUES_MAX = 900;

const LETTERS: Record<number, string> = { [I32]: "i", [I64]: "I" };
const lettersOf = (types: readonly number[]): string => types.map((type) => LETTERS[type] ?? "?").join("");

/** The host takes what an import's type says: values of another kind would fail in it, not in the guest. */
function checkImport({ text, names, type }: ParsedImport, { types }: ParsedModule): void {
  const [, from = "", name = ""] = /^([^.]*)\.(.*)$/s.exec(text) ?? [];
  const offered = LAYOUTS.has(from) ? WASI_SIGNATURES.get(name) : NOTICES.get(text);
  const { params, results } = typeAt(types, type, names.start);
  if (!offered) throw new Refusal(`import of ${text}`, names.start, wayOut(text, lettersOf(params)));
  if (lettersOf(params) !== offered.params || lettersOf(results) !== offered.results)
    throw new Refusal(`import of ${text} as a function of another type`, names.start, "build for wasm32-wasip1");
}

export function checkInterface(module: ParsedModule): void {
  const { types, imports, exports, start } = module;
  for (const each of imports) checkImport(each, module);
  const has = (name: string, kind: number): boolean => exports.some((each) => each.text === name && each.kind === kind);
  const tooMany = types.findIndex(({ params, results }) => Math.max(params.length, results.length) > VALUES_MAX);
  if (tooMany >= 0)
    throw new Refusal(`function type of over ${VALUES_MAX} values`, module.typeSpans[tooMany]!.start, "pass them in memory");
  const end = module.exportsEnd;
  if (![START, SET_UP].some((name) => has(name, KIND.function)))
    throw new Refusal("no exported _start function", end, "it is a library, with nothing to run: link it as a command");
  if (!has("memory", KIND.memory)) throw new Refusal("no exported memory", end, "export it as `memory`");
  const reserved = exports.find(({ text }) => text.startsWith(`${ADDED_MODULE}.`));
  if (reserved) throw new Refusal(`export ${reserved.text}`, reserved.name.start, "names that begin with xeno. are the engine's own");
  if (start !== null && start < imports.length) throw new Refusal("imported start function", end, "start a function of the module's own");
  const { params, results } = typeOfFunction(module, startOf(module));
  if (params.length + results.length > 0) throw new Refusal(`${entryOf(module).text} that takes or returns values`, end, "it does neither");
}

const entryOf = ({ exports }: ParsedModule): ParsedExport =>
  [START, SET_UP].flatMap((name) => exports.filter(({ text, kind }) => text === name && kind === KIND.function))[0]!;

/** What runs: a command, or the set-up of a reactor. */
export const startOf = (module: ParsedModule): number => entryOf(module).index;

/** Nothing says outside which function a reference is to; a reference of the host's is always null. */
export function checkState({ globals, tags }: ParsedModule): void {
  if (tags.length > 0) throw new Refusal("exceptions", 0, "such a job has no breakpoints");
  const hidden = globals.find(({ mutable, type }) => mutable && type === FUNCREF);
  if (hidden) throw new Refusal("a mutable global that is a function reference", hidden.init.start, "such a job has no breakpoints");
}
