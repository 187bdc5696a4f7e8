/** Who holds the memory of a booted guest, and what a daemon finds of guests that an earlier one was killed with. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { until } from "../../../../../test/until.ts";
import { isAlive } from "../../programs/process-id.ts";
import { Templates, keep } from "./templates.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-templates-"));
  await writeFile(path.join(folder, "memory"), "what a guest remembers");
});
afterEach(() => rm(folder, { recursive: true }));

it("memory is held by nobody who was not told to stay: its daemon was killed before it wrote down who that is", async () => {
  const { by, end } = await keep(path.join(folder, "memory"));
  expect(await isAlive(by.keeper)).toBe(true);
  end(); // as the kernel does
  await until(async () => !(await isAlive(by.keeper)));
});

it("memory is held by nobody where no process can be begun, which is said, and no end of the daemon", async () => {
  vi.stubEnv("PATH", folder);
  await expect(keep(path.join(folder, "memory"))).rejects.toThrow("ENOENT");
  vi.unstubAllEnvs();
});

it("memory that is written down is held until it is let go, also where a daemon was killed before it stood where it is looked for", async () => {
  const { by, stay } = await keep(path.join(folder, "memory"));
  stay();
  const all = path.join(folder, "snapshots");
  const [whole, half] = ["key", "building-other"].map((name) => path.join(all, name));
  for (const each of [whole!, half!, path.join(all, "empty")]) await mkdir(each, { recursive: true });
  await writeFile(path.join(all, "empty", "kept.json"), "");
  await writeFile(path.join(whole!, "kept.json"), JSON.stringify({ ...by, maker: "" }));
  const templates = new Templates(all, 1);
  await templates.open();
  expect(await readdir(all)).toEqual(["key"]);
  const found = await templates.find("key");
  expect(await readFile(found!.memoryFile, "utf8")).toBe("what a guest remembers");

  await mkdir(half!);
  await writeFile(path.join(half!, "kept.json"), JSON.stringify({ ...by, maker: "" }));
  await rm(whole!, { recursive: true });
  await templates.open();
  expect(await readdir(all)).toEqual([]);
  await until(async () => !(await isAlive(by.keeper)));
});
