/**
 * Run by itself, with a folder as its argument: writes worker and engine there as one plain file, what few jobs need beside it. A guest
 * loads it in a third of the time that a file per module takes. A process of its own: whatever happens to the bundler, it ends.
 */
import path from "node:path";
import { buildSync } from "esbuild";

const [, , outdir = ""] = process.argv;
if (!path.isAbsolute(outdir)) throw new Error("the folder to write to must be absolute");
buildSync({
  entryPoints: { main: path.join(import.meta.dirname, "worker/main.ts") },
  outdir,
  ...{ bundle: true, splitting: true, format: "esm", platform: "node", target: "node24", charset: "utf8", logLevel: "silent" },
  external: ["binaryen"],
});
