import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { clearLeft, heldScratch } from "./held-scratch.ts";

let place: string;
beforeEach(async () => {
  place = await mkdtemp(path.join(tmpdir(), "xeno-held-"));
  vi.stubEnv("TMPDIR", place);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(place, { recursive: true });
});

/** The folder of a program that makes one, and is killed. */
async function leftByKilled(name: string): Promise<string> {
  const module = JSON.stringify(new URL("held-scratch.ts", import.meta.url).href);
  const words = `import { heldScratch } from ${module};
    console.log((await heldScratch(${JSON.stringify(name)})).folder);
    process.stdin.resume();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", words], { env: { ...process.env, TMPDIR: place } });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  child.kill("SIGKILL");
  await once(child, "exit");
  return path.basename(said.toString().trim());
}

it("clears up what a killed program left, and nothing else", async () => {
  const left = await leftByKilled("agent");
  const other = await leftByKilled("other");
  const own = await heldScratch("agent");
  await mkdir(path.join(place, "xeno-agent-plain"));
  await symlink(path.join(place, other), path.join(place, "xeno-agent-link"));
  const stays = [path.basename(own.folder), other, "xeno-agent-link", "xeno-agent-plain"].toSorted();
  expect((await readdir(place)).toSorted()).toEqual([left, ...stays].toSorted());
  await clearLeft("agent");
  expect((await readdir(place)).toSorted()).toEqual(stays);
  await own.remove();
  expect(await readdir(place)).not.toContain(path.basename(own.folder));
});
