/**
 * What a shell completes besides verbs and options: contexts, and leases that run as far as this machine knows. A line each in files that
 * the shell reads by itself, since starting a program for each key would be felt. Invariant: a line holds letters, digits and a few signs
 * that no shell gives a meaning. Who controls the inputs: the broker (ids of leases, names of markets), whoever names a context.
 */
import path from "node:path";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";

export const COMPLETION_FOLDER = "completion";
type WordList = "contexts" | "leases";

const HARMLESS = /^[\w.:@-]{1,80}$/;
const WORDS_MAX = 200;
const ID_LETTERS = 12;

/** A full disk or a folder of somebody else's is no reason to fail: then the shell offers less. */
export async function noteWords(data: string, list: WordList, words: readonly string[]): Promise<void> {
  const lines = [...new Set(words)].filter((word) => HARMLESS.test(word)).slice(0, WORDS_MAX);
  await writeWhole(path.join(data, COMPLETION_FOLDER, list), lines.map((line) => `${line}\n`).join("")).catch(() => {});
}

export const noteLeases = (data: string, ids: readonly string[]): Promise<void> =>
  noteWords(
    data,
    "leases",
    ids.map((id) => id.slice(0, ID_LETTERS)),
  );

/** One that begins or ends to run. */
export async function noteLease(data: string, id: string, runs: boolean): Promise<void> {
  const known = ((await readIfThere(path.join(data, COMPLETION_FOLDER, "leases")).catch(() => null)) ?? "").split("\n");
  const others = known.filter((each) => each !== "" && !id.startsWith(each));
  await noteLeases(data, runs ? [id, ...others] : others);
}
