/** What a job is compared with: the same module in a fresh `node` with `node:wasi`. `peer.mjs MODULE [FOLDER ARGS…]`; FOLDER is /app. */
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [file, folder, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", returnOnExit: true, args: ["job", ...args], preopens: folder ? { "/app": folder } : {} });
const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), wasi.getImportObject());
wasi.start(instance);
