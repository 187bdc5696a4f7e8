/**
 * All keys of this machine's contexts in one file, and back. Who controls the inputs: whoever runs this (the file, which whoever reads it
 * can speak by).
 */
import { lstat } from "node:fs/promises";
import { jsonIn, toHex } from "@xenoservers/protocol";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { assertWanted } from "../calling-off.ts";
import { ContextError, InputError } from "../errors.ts";
import type { Callable } from "../facade/market.ts";
import { channelSecretOf } from "../identity.ts";
import { changeContexts, contextCalled, readContexts, whileKeysChange, zContexts, type Context, type Contexts } from "./contexts.ts";

/** What a backup brought back, by the names of contexts. */
export interface Restored {
  /** Are here now as they lie in the backup. */
  restored: readonly string[];
  /** Were here, by the same key or one that took its place since. */
  there: readonly string[];
  /** Are here with a key that has nothing to do with the backup's: it stays, and the backup's is not here. */
  differs: readonly string[];
}

/**
 * Writes every key of this machine's contexts to a new file, for its user alone; gives the contexts' names. Whoever reads the file is you.
 * Throws ContextError where there is no key yet, InputError where there is such a file: it may hold keys that are nowhere else any more.
 */
export async function backupKeys(file: string, { signal }: Callable = {}): Promise<string[]> {
  assertWanted(signal);
  const { current, contexts } = await readContexts();
  const names = Object.keys(contexts);
  if (names.length === 0) throw new ContextError("there are no keys here yet: run `xeno login URL` first");
  assertWanted(signal);
  if ((await lstat(file).catch(() => null)) !== null)
    throw new InputError(`${file} is there already, and may hold keys that are kept nowhere else: name another file, or remove it`);
  await writeWhole(file, JSON.stringify({ current, contexts }, null, 1));
  return names;
}

/** Brings the keys of a backup to this machine; none that is here is lost. Throws InputError where the file is no backup. */
export async function restoreKeys(file: string, { signal }: Callable = {}): Promise<Restored> {
  const backup = await backupIn(file);
  return whileKeysChange(signal, async () => {
    const names: { restored: string[]; there: string[]; differs: string[] } = { restored: [], there: [], differs: [] };
    const { contexts } = await readContexts();
    for (const [name, context] of Object.entries(backup.contexts)) names[becomes(contextCalled(contexts, name), context)].push(name);
    if (names.restored.length > 0) await changeContexts((before) => merged(before, backup, names.restored));
    return names;
  });
}

async function backupIn(file: string): Promise<Contexts> {
  const text = await readIfThere(file);
  if (text === null) throw new InputError(`there is no file ${file}`);
  const { data } = zContexts.safeParse(jsonIn(text));
  if (!data)
    throw new InputError(`${file} is no backup of keys (\`xeno key backup\`), or is damaged, or was written by another version of xeno`);
  return data;
}

function becomes(here: Context | undefined, context: Context): keyof Restored {
  if (!here || isBefore(here, context)) return "restored";
  return here.seed === context.seed || isBefore(context, here) ? "there" : "differs";
}

/** Whether the one's key was rotated to the other's, as the other's own channel secrets show. */
const isBefore = ({ seed }: Context, { formerChannelSecrets = [] }: Context): boolean =>
  formerChannelSecrets.includes(toHex(channelSecretOf(Buffer.from(seed, "hex"))));

function merged({ current, contexts }: Contexts, backup: Contexts, names: readonly string[]): Contexts {
  const brought = Object.fromEntries(Object.entries(backup.contexts).filter(([name]) => names.includes(name)));
  return { current: current ?? backup.current, contexts: { ...contexts, ...brought } };
}
