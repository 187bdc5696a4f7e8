/** Reading what a guest left while its process gets the next job: every byte, or the server would sign that there was less. */
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it, vi } from "vitest";
import { Guest } from "./guest.ts";
import { placeOf } from "./pool.ts";

/** What the next read waits for before it opens its file. */
let gate: Promise<void> | null = null;
vi.mock("./guest-files.ts", async (original) => {
  const real = await original<typeof import("./guest-files.ts")>();
  const readGuestFile: typeof real.readGuestFile = async (...args) => {
    const waits = gate;
    gate = null;
    await waits;
    return real.readGuestFile(...args);
  };
  return { ...real, readGuestFile };
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it.each(["stdout", "kept"] as const)("a read of %s that is under way is done before the files are emptied", async (file) => {
  const above = await mkdtemp(path.join(tmpdir(), "xeno-apart-"));
  try {
    const folder = path.join(above, "worker");
    const digest = "ab".repeat(32);
    const index = Buffer.alloc(48);
    index.write(digest, "hex");
    index.writeBigUInt64LE(4n, 40);
    const result = JSON.stringify({ ending: "exit" });
    await mkdir(folder);
    const files = { stdout: "left", stderr: "", "result.json": result, kept: "left", "kept.index": index, progress: Buffer.alloc(2) };
    for (const [name, bytes] of Object.entries(files)) await writeFile(path.join(folder, name), bytes);
    const apart = `${folder}.1`;
    const goOn = (): Promise<void> => truncate(path.join(folder, file), 0);
    const guest = new Guest({ ...{ folder, apart, goOn }, id: { pid: process.pid, startTicks: "none" }, cgroup: null, exited: null });
    await guest.ended;
    const open = Promise.withResolvers<void>();
    gate = open.promise;
    const read = file === "stdout" ? guest.read(file, 0) : guest.readKept(digest, 0, 4);
    while (!placeOf(apart).isApart) await turn();
    for (let i = 0; i < 50; i++) await turn();
    open.resolve();
    expect(Buffer.from(await read).toString()).toBe("left");
    await guest.settled;
    expect(guest.folder).toBe(apart);
  } finally {
    await rm(above, { recursive: true, force: true });
  }
});
