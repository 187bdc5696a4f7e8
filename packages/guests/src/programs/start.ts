/** The one place that starts programs: this process does, or its starter where it has one (use-starter.ts). */
import { runHere, startHere } from "./here.ts";
import { NotAsked, type Printed, type Program, type RunOptions, type StartOptions } from "./program.ts";

/** Both throw NotAsked where nothing was started. */
interface Starter {
  pid: number;
  start(program: string, args: readonly string[], options: StartOptions): Promise<Program>;
  run(program: string, args: readonly string[], options: RunOptions): Promise<Printed>;
}

let starter = (): Promise<Starter | null> => Promise.resolve(null);
let instead: (why: string) => void = () => {};

/** Asked for each program; null: this process starts it. `told`: why it starts one that another was asked for. */
export function startBy(other: typeof starter, told: typeof instead): void {
  starter = other;
  instead = told;
}

/** The number of the process that starts programs in this one's place; null where none does. */
export const starterPid = async (): Promise<number | null> => (await starter())?.pid ?? null;

/** Asks the starter, where there is one and it can be asked. */
async function asked<T>(ask: (link: Starter) => Promise<T>, here: () => Promise<T>): Promise<T> {
  const link = await starter();
  if (!link) return here();
  try {
    return await ask(link);
  } catch (error) {
    if (!(error instanceof NotAsked)) throw error;
    instead(error.message);
    return here();
  }
}

/** Resolves once it runs; throws as node:child_process says it where it cannot. */
export const start = (program: string, args: readonly string[], options: StartOptions): Promise<Program> =>
  asked(
    (link) => link.start(program, args, options),
    () => startHere(program, args, options),
  );

/** Runs a program to its end. Throws as node's execFile where it fails, with what it printed. */
export const run = (program: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Printed> =>
  asked(
    (link) => link.run(program, args, options),
    () => runHere(program, args, options),
  );
