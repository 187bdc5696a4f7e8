// What `xeno` beside this file starts. Kept in words that any Node understands, so that one that is too old says so.
import module from "node:module";

const [major, minor] = process.versions.node.split(".").map(Number);

if (major > 22 || (major === 22 && minor >= 18)) {
  module.enableCompileCache?.();
  process.removeAllListeners("warning");
  const { main } = await import("../src/main.ts");
  await main(process.argv.slice(2));
} else {
  console.error(
    `xeno needs Node 22.18 or later; this is ${process.versions.node}. Start it by bin/xeno, which takes the one that comes with the package (npm ci --include=optional)`,
  );
  process.exitCode = 125;
}
