/**
 * Run by itself, with Python as published and a file to write as its arguments: the module as the engine runs it. A process of its own,
 * because what a large module takes to be rewritten stays with the process that did it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { prepareModule } from "@xenoservers/engine";
import { withStack } from "./python-stack.ts";

const [, , module = "", to = ""] = process.argv;
const prepared = prepareModule(withStack(readFileSync(module)));
if (!prepared.ok) throw new Error(prepared.message);
writeFileSync(to, prepared.bytes, { mode: 0o600 });
