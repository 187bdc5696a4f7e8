/** What would be published, made once for all tests here. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The folder with its files. */
    packed: string;
  }
}

export default async function packOnce(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-packed-files-"));
  // two folders of 300 MB, which nobody downloads here: gzip's fastest
  const env = { ...process.env, GZIP: "-1" };
  await promisify(execFile)(process.execPath, [path.resolve("scripts/pack/main.ts"), "--out", folder], { env });
  project.provide("packed", folder);
  return () => rm(folder, { recursive: true, force: true });
}
