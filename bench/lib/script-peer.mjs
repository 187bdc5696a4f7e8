/**
 * A script on the same Python in a fresh `node` with `node:wasi`, in the folder where it stands: `script-peer.mjs MODULE SCRIPT [SUPPORT ZONES]`.
 * SUPPORT holds what Python reads before it (script-peer.ts), ZONES the machine's time zones.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { WASI } from "node:wasi";

const [file, script, support, zones] = process.argv.slice(2);
const brought = support ? { "/support": support, "/zones": zones } : {};
const preopens = { "/app": path.dirname(script), "/": ".", ...brought };
const env = { PYTHONDONTWRITEBYTECODE: "1", ...(support ? { PYTHONPATH: "/support", PYTHONTZPATH: "/zones" } : {}) };
const args = ["python", `/app/${path.basename(script)}`];
const wasi = new WASI({ version: "preview1", returnOnExit: true, args, env, preopens });
const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), wasi.getImportObject());
process.exitCode = wasi.start(instance);
