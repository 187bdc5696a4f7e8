/** The same Python in a fresh `node` with `node:wasi`, with what a job brings along of what Python lacks on WASI: what scripts are run beside. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { BEFORE, SUPPORT } from "../../packages/sdk/src/node/python-support.ts";

const PEER = path.join(import.meta.dirname, "script-peer.mjs");
const ZONES = "/usr/share/zoneinfo";

/** Writes what Python reads before a script into a folder of its own; returns that. */
export async function placeSupport(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "sitecustomize.py"), BEFORE);
  await writeFile(path.join(folder, "_xeno.py"), SUPPORT);
  return folder;
}

/** `support`: that folder; null for a script that needs nothing of it. */
export const scriptPeer = (module: string, script: string, support: string | null): [program: string, ...args: string[]] =>
  [...[process.execPath, "--no-warnings", PEER, module, script], ...(support === null ? [] : [support, ZONES])] as [string, ...string[]];
