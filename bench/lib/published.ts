/** The command as npm installs it: what is published, where it finds the libraries of this checkout. */
import { cp, rm } from "node:fs/promises";
import path from "node:path";
import { assembleCommand } from "../../scripts/pack/assemble.ts";
import { bundleCommand } from "../../scripts/pack/bundle.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const PUBLISHED = path.join(ROOT, "packages/cli/built/published");

export interface Published {
  /** Node, and what it starts. */
  command: readonly [program: string, file: string];
  remove(): Promise<void>;
}

export async function publish(): Promise<Published> {
  const remove = (): Promise<void> => rm(PUBLISHED, { recursive: true, force: true });
  await remove();
  const code = path.join(PUBLISHED, "code");
  await bundleCommand(ROOT, code);
  await assembleCommand(ROOT, code, PUBLISHED);
  await cp(path.join(ROOT, "packages/cli/package.json"), path.join(PUBLISHED, "package.json"));
  return { command: [process.execPath, path.join(PUBLISHED, "bin/xeno.js")], remove };
}
