/** What of this machine a Python script brings along, and what lies beside it. Who controls the script: whoever runs it. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { ifThere } from "@xenoservers/protocol/files";
import { bytesBlob, type SourceEntry } from "../blob.ts";
import { InputError } from "../errors.ts";
import { importsOf, type ScriptPlace } from "../python-script.ts";
import { assertBrought } from "./python-header.ts";
import { shellWord } from "./shell-word.ts";
import { zonesOf } from "./zones.ts";

const SUPPORT_NAME = "_xeno.py";
/** Whatever WASI lacks a script comes by so; one that imports nothing is the same job from a page. */
const IMPORTS = /\b(?:import|__import__)\b/;

const isThere = async (file: string): Promise<boolean> => (await ifThere(stat(file))) !== null;

/** Which of these lie beside the script on this machine, as a file or a folder of modules. */
async function besideIt(file: string, names: readonly string[]): Promise<string[]> {
  const at = (name: string): string => path.join(path.dirname(file), name);
  const found = await Promise.all(names.map(async (name) => (await isThere(at(`${name}.py`))) || isThere(at(name))));
  return names.filter((_, i) => found[i]);
}

/** As it is typed; what lies elsewhere than below the folder where this is typed is the working directory there. */
function folderOf(file: string): string {
  const folder = path.dirname(file);
  return shellWord(folder === "." ? folder : `${folder}::/`);
}

/** What CPython's library had before 3.12: a package of such a name is somebody else's. */
const HAD: ReadonlySet<string> = new Set(["asynchat", "asyncore", "distutils", "imp", "smtpd"]);

/** Throws InputError where the script is of an older Python, and neither brings that in nor has it beside it. */
async function assertToday(file: string, at: string, source: string, brought: readonly SourceEntry[]): Promise<void> {
  const had = importsOf(source).filter((name) => HAD.has(name));
  const isBrought = (name: string): boolean => brought.some((entry) => new RegExp(`(?:^|/)${name}(?:\\.py|/|$)`).test(entry.path));
  const missing = had.filter((name) => !isBrought(name));
  if (missing.length === 0 || (await besideIt(at, missing)).length > 0) return;
  const say = `xeno run python:3.11 ${shellWord(file)}`;
  throw new InputError(
    `${file} imports ${missing.join(", ")}, which Python has no more since 3.12: run it in an image of an older one (${say})`,
  );
}

/** `isHere`: `file` is its path on this machine. */
export const scriptPlace = (file: string, isHere: boolean): ScriptPlace => ({
  beside: isHere ? { found: (names) => besideIt(file, names), folder: folderOf(file) } : null,
  support: async (isWanted, source) => {
    if (!isWanted && !IMPORTS.test(source)) return { before: "", beside: [] };
    const { BEFORE, SUPPORT } = await import("./python-support.ts");
    return { before: BEFORE, beside: [{ path: SUPPORT_NAME, kind: "file", blob: bytesBlob(new TextEncoder().encode(SUPPORT)) }] };
  },
  async assertBrought(said, source, brought) {
    assertBrought(said, source, brought);
    await assertToday(said, file, source, brought);
  },
  zones: zonesOf,
});
