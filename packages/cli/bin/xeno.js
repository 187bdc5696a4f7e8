// What `xeno` beside this file starts. Kept in words that any Node understands, so that one that is too old says so.
import module from "node:module";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);

/** As few files, where `npm run build` made them of the sources as they are now; else the sources. */
function entry() {
  const { readFileSync, statSync } = process.getBuiltinModule("node:fs");
  try {
    const root = fileURLToPath(new URL("../../../", import.meta.url));
    for (const [file, size, mtimeMs] of JSON.parse(readFileSync(`${root}packages/cli/built/inputs.json`, "utf8"))) {
      const now = statSync(root + file);
      if (now.size !== size || now.mtimeMs !== mtimeMs) return "../src/main.ts";
    }
    return "../built/main.js";
  } catch {
    return "../src/main.ts";
  }
}

if (major > 22 || (major === 22 && minor >= 18)) {
  module.enableCompileCache?.();
  process.removeAllListeners("warning");
  const { main } = await import(entry());
  await main(process.argv.slice(2));
} else {
  console.error(
    `xeno needs Node 22.18 or later; this is ${process.versions.node}. Start it by bin/xeno, which takes the one that comes with the package (npm ci --include=optional)`,
  );
  process.exitCode = 125;
}
