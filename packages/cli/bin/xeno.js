#!/usr/bin/env node
// Starts the command line on the Node that came with the package where the host's own is too old to run it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
const runsTypeScript = major > 22 || (major === 22 && minor >= 18);

function bundledNode() {
  try {
    const folder = path.dirname(module.createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`));
    const file = path.join(folder, "bin", "node");
    return existsSync(file) ? file : null;
  } catch {
    return null;
  }
}

if (runsTypeScript) {
  module.enableCompileCache?.();
  process.removeAllListeners("warning");
  const { main } = await import("../src/main.ts");
  await main(process.argv.slice(2));
} else {
  const node = bundledNode();
  if (!node) {
    console.error(
      `xeno needs Node 22.18 or later; this is ${process.versions.node} and no newer one came with the package (npm ci --include=optional)`,
    );
    process.exit(125);
  }
  const child = spawnSync(node, ["--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  process.exit(child.status ?? 125);
}
