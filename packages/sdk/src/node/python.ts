/** What of this machine a Python script brings along, and what lies beside it. Who controls the script: whoever runs it. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { ifThere } from "@xenoservers/protocol/files";
import { bytesBlob } from "../blob.ts";
import type { ScriptPlace } from "../python-script.ts";
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

/** `isHere`: `file` is its path on this machine. */
export const scriptPlace = (file: string, isHere: boolean): ScriptPlace => ({
  beside: isHere ? { found: (names) => besideIt(file, names), folder: folderOf(file) } : null,
  support: async (isWanted, source) => {
    if (!isWanted && !IMPORTS.test(source)) return { before: "", beside: [] };
    const { BEFORE, SUPPORT } = await import("./python-support.ts");
    return { before: BEFORE, beside: [{ path: SUPPORT_NAME, kind: "file", blob: bytesBlob(new TextEncoder().encode(SUPPORT)) }] };
  },
  assertBrought,
  zones: zonesOf,
});
