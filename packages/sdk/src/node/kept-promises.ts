/**
 * The broker's word for every document that was sent from here, a line each, in files by month and part: what is appended needs no lock,
 * and what is too much or too old goes a file at a time. Who controls the inputs: the broker (each promise is checked before it is kept),
 * whoever writes to the customer's own folder (what is read again).
 */
import { appendFileSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { jsonIn, zPromise, type Promised } from "@xenoservers/protocol";
import { namesIn, readIfThere } from "@xenoservers/protocol/files";

export interface PromiseBounds {
  fileBytes: number;
  bytesMax: number;
  ageMsMax: number;
}

/** Some 40,000 promises; longer than the longest lease and what may be said of it later. */
const BOUNDS: PromiseBounds = { fileBytes: 1024 * 1024, bytesMax: 16 * 1024 * 1024, ageMsMax: 400 * 86_400_000 };

const NAME = /^(\d{4}-\d{2})\.(\d{4,})\.jsonl$/;
const folderIn = (data: string): string => path.join(data, "promises");
/** As versions before kept them. */
const earlierFile = (data: string): string => path.join(data, "promises.jsonl");
const nameOf = (month: string, part: number): string => `${month}.${String(part).padStart(4, "0")}.jsonl`;
/** By month and part, which names of one length sort by. */
const inOrder = (names: readonly string[]): string[] =>
  names.filter((name) => NAME.test(name)).toSorted((a, b) => a.slice(0, 7).localeCompare(b.slice(0, 7)) || partOf(a) - partOf(b));
const partOf = (name: string): number => Number(NAME.exec(name)?.[2] ?? 0);

/** Drops the oldest files until what is left is neither too much nor too old; the newest stays. */
function prune(data: string, now: number, { bytesMax, ageMsMax }: PromiseBounds): void {
  const folder = folderIn(data);
  const files = [earlierFile(data), ...inOrder(readdirSync(folder)).map((name) => path.join(folder, name))];
  let bytes = 0;
  for (const [i, file] of files.toReversed().entries()) {
    const found = statSync(file, { throwIfNoEntry: false });
    bytes += found?.size ?? 0;
    if (i > 0 && found && (bytes > bytesMax || now - found.mtimeMs > ageMsMax)) rmSync(file, { force: true });
  }
}

export function keepPromise(data: string, promise: Promised, now = Date.now(), bounds = BOUNDS): void {
  const folder = folderIn(data);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const month = new Date(now).toISOString().slice(0, 7);
  const latest = inOrder(readdirSync(folder)).findLast((name) => name.startsWith(month));
  const size = latest === undefined ? 0 : (statSync(path.join(folder, latest), { throwIfNoEntry: false })?.size ?? 0);
  const name = latest === undefined ? nameOf(month, 0) : size < bounds.fileBytes ? latest : nameOf(month, partOf(latest) + 1);
  appendFileSync(path.join(folder, name), `${JSON.stringify(promise)}\n`, { mode: 0o600 });
  if (name !== latest) prune(data, now, bounds);
}

function promiseIn(line: string): Promised[] {
  const parsed = zPromise.safeParse(jsonIn(line));
  return parsed.success ? [parsed.data] : [];
}

/** Those that are kept, the oldest first; a line that a crash cut off says nothing. */
export async function keptPromises(data: string): Promise<Promised[]> {
  const folder = folderIn(data);
  const texts = [(await readIfThere(earlierFile(data))) ?? ""];
  for (const name of inOrder(await namesIn(folder))) texts.push(await readFile(path.join(folder, name), "utf8"));
  return texts.flatMap((text) => text.split("\n").flatMap(promiseIn));
}
