/** Time zones that a Python script brings along, of this machine's own. Who controls the script: whoever runs it. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { SourceEntry } from "../blob.ts";
import { fileBlob } from "../tree.ts";

const ZONE_NAME = /["']((?:[A-Z][\w+-]*\/)+[\w+-]+)["']/g;
/** A zone by a name that is put together or read elsewhere, or any of them; what a variable holds was named where it was set. */
const MAY_BE_ANY = /\b(?:ZoneInfo(?:\.no_cache)?|gettz)\((?!\s*(?:["'][^"'\n]*["']|\w+)\s*\))|\bavailable_timezones\b/;
/** Those that a script may fall back to whatever it names. */
const ALWAYS: readonly string[] = ["UTC", "GMT"];

/** Python's own module, or the folder that older libraries look into by themselves (dateutil's, as Debian has it). */
const SPEAKS_OF_ZONES = /\bzoneinfo\b/;
/** Of modules that come along so much is read to see what they speak of; beside more than that all zones are little. */
const READ_BYTES_MAX = 8 * 2 ** 20;

/** A folder, a link that leads nowhere or what cannot be read is no zone. */
const isZone = (file: string): Promise<boolean> =>
  stat(file).then(
    (found) => found.isFile(),
    () => false,
  );

/** Names of all zones under `folder`; none where there is no such folder. */
async function zonesIn(folder: string): Promise<string[]> {
  const all = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const names = all.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).filter((name) => /^[A-Z]/.test(name));
  const found = await Promise.all(names.map((name) => isZone(path.join(folder, name))));
  return names.filter((_, i) => found[i]);
}

const foldersAbove = (name: string): string[] => name.split("/").flatMap((_, i, parts) => (i === 0 ? [] : parts.slice(0, i).join("/")));

/** Texts of the modules that come along and speak of zones; null: there is more than is read. */
async function speakingOfZones(brought: readonly SourceEntry[]): Promise<string[] | null> {
  const modules = brought.filter((entry) => entry.kind === "file" && entry.path.endsWith(".py"));
  const blobs = modules.flatMap((entry) => (entry.kind === "file" ? [entry.blob] : []));
  if (blobs.reduce((sum, blob) => sum + blob.size, 0) > READ_BYTES_MAX) return null;
  const speaking: string[] = [];
  for (const blob of blobs) {
    const text = new TextDecoder().decode(await blob.read(0, blob.size));
    if (SPEAKS_OF_ZONES.test(text)) speaking.push(text);
  }
  return speaking;
}

/** The zones that are meant, as a tree: those that the script and modules beside it name; all where it names none, or may want others. */
export async function zonesOf(folder: string, source: string, brought: readonly SourceEntry[]): Promise<SourceEntry[]> {
  const modules = await speakingOfZones(brought);
  if (modules?.length === 0 && !SPEAKS_OF_ZONES.test(source)) return [];
  const known = await zonesIn(folder);
  const namedIn = (text: string): string[] => [...text.matchAll(ZONE_NAME)].map(([, name]) => name!);
  const [own, others] = [new Set(namedIn(source)), new Set((modules ?? []).flatMap(namedIn))];
  const isAny = modules === null || [source, ...modules].some((text) => MAY_BE_ANY.test(text)) || !known.some((name) => own.has(name));
  const zones = isAny ? known : known.filter((name) => own.has(name) || others.has(name) || ALWAYS.includes(name));
  const files = await Promise.all(
    zones.map(async (name): Promise<SourceEntry> => ({ path: name, kind: "file", blob: await fileBlob(path.join(folder, name)) })),
  );
  const folders = new Set(zones.flatMap(foldersAbove));
  return [...[...folders].map((name): SourceEntry => ({ path: name, kind: "directory" })), ...files];
}
