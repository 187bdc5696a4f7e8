#!/usr/bin/env node
// The command as npm installs it. A customer's Node is good enough for a customer; guests, brokers and what runs a job again are built for
// the Node that comes with the package on Linux, and become that one where it is newer. Kept in words that any Node understands.
import module, { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const OURS = 24;
const OLDEST = 22;
// a broker works on many short things: V8 would keep as much of the newest memory as the host is large
const HEAP = "--max-semi-space-size=8";

const file = fileURLToPath(import.meta.url);
const args = process.argv.slice(2);
const major = Number(process.versions.node.split(".")[0]);
// Windows has the function and refuses to do it
const execve = process.platform === "win32" ? undefined : process.execve;
const flags = args[0] === "broker" && !process.execArgv.includes(HEAP) ? [HEAP] : [];

/** The Node that comes with the package; null: there is none for this machine, or it was left out. */
function bundled() {
  try {
    const name = `node-${process.platform}-${process.arch}`;
    return path.join(path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), "bin/node");
  } catch {
    return null;
  }
}

/** Becomes that program: its pid, terminal and signals are this one's. Where this Node cannot, it waits for it and passes on what it is told. */
async function become(node) {
  // Node takes --env-file from anywhere before --
  const words = [...flags, "--disable-warning=ExperimentalWarning", "--", file, ...args];
  if (execve) execve(node, [node, ...words], process.env);
  // loading it takes longer than all else here
  const { spawn } = await import("node:child_process");
  const child = spawn(node, words, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`the Node that came with the package does not start (${error.message}); install the package again`);
    process.exit(125);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const newer = major < OURS ? bundled() : null;
if (newer !== null) await become(newer);
else if (flags.length > 0 && execve) await become(process.execPath);
else if (major >= OLDEST) {
  module.enableCompileCache?.();
  process.removeAllListeners("warning");
  const { main } = await import("../dist/main.js");
  await main(args);
} else {
  console.error(`xeno needs Node ${OLDEST} or later; this is ${process.versions.node}`);
  process.exitCode = 125;
}
