/** Time zones that a Python script brings along, of this machine's own. Who controls the script: whoever runs it. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { SourceEntry } from "../blob.ts";
import { fileBlob } from "../tree.ts";

const ZONE_NAME = /["']((?:[A-Z][\w+-]*\/)+[\w+-]+)["']/g;
/** A zone by a name that is put together or read elsewhere, or any of them; what a variable holds was named where it was set. */
const MAY_BE_ANY = /\bZoneInfo(?:\.no_cache)?\((?!\s*(?:["'][^"'\n]*["']|\w+)\s*\))|\bavailable_timezones\b/;
/** Those that a script may fall back to whatever it names. */
const ALWAYS: readonly string[] = ["UTC", "GMT"];

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

/** The zones that the script names, as a tree; all where it names none, or may come to want others. */
export async function zonesOf(folder: string, source: string): Promise<SourceEntry[]> {
  const named = [...source.matchAll(ZONE_NAME)].map(([, name]) => name!);
  const known = await zonesIn(folder);
  const meant = known.filter((name) => named.includes(name));
  const zones =
    meant.length === 0 || MAY_BE_ANY.test(source) ? known : known.filter((name) => meant.includes(name) || ALWAYS.includes(name));
  const files = await Promise.all(
    zones.map(async (name): Promise<SourceEntry> => ({ path: name, kind: "file", blob: await fileBlob(path.join(folder, name)) })),
  );
  const folders = new Set(zones.flatMap(foldersAbove));
  return [...[...folders].map((name): SourceEntry => ({ path: name, kind: "directory" })), ...files];
}
