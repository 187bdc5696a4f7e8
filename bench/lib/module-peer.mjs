/** A module in a fresh `node` with `node:wasi`, in the folder where it is called: `module-peer.mjs MODULE ARGS…`, its own name first among them. */
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [file, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args, preopens: { "/": ".", ".": "." }, returnOnExit: true });
const instance = await WebAssembly.instantiate(await WebAssembly.compile(readFileSync(file)), wasi.getImportObject());
process.exitCode = wasi.start(instance);
