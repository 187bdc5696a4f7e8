import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { MachineToken } from "@xenoservers/guests";
import type { VmSpec } from "@xenoservers/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SnapshotStore } from "./vm-snapshots.ts";

const MIB = 1024 * 1024;
const NONE = "0".repeat(64);
const [ANNA, BERT] = [`p_${"a".repeat(40)}`, `p_${"b".repeat(40)}`] as const;
const spec: VmSpec = {
  vm: { kind: "kernel", kernel: NONE, initrd: null, append: "" },
  ...{
    machine: "pc",
    firmware: "bios",
    devices: "virtio",
    tpm: false,
    vcpu: 1,
    memoryMib: 128,
    diskMib: 0,
    outputMibMax: 1,
    network: false,
    egress: "none",
  },
  ...{ inputs: NONE, engine: null, fuelMax: "1", seed: NONE, clockBaseMs: 0 },
};
/** A machine whose memory fills that much of the disk. */
const machineOf = (bytes: number) => ({
  token: { kind: "other", ociToken: "" } as MachineToken,
  async snapshot(folder: string) {
    await mkdir(folder);
    await writeFile(path.join(folder, "state"), Buffer.alloc(bytes, 1));
  },
});

describe("customers' snapshots", () => {
  let folder: string;
  let now = 1_000_000;
  const open = (mib: number) => new SnapshotStore(folder, { bytesMax: mib * MIB, keepMs: 60_000, now: () => now });
  const of = (customer: string) => ({ customer, spec, lease: NONE, blobs: new Map<string, string>() });
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-kept-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("are their customer's alone, until their time is over", async () => {
    const store = open(1_024);
    const { snapshot, until } = await store.take(machineOf(1), of(ANNA));
    expect(until).toBe(now + 60_000);
    expect(await store.find(ANNA, snapshot)).toMatchObject({ spec, disk: null });
    expect(await store.find(BERT, snapshot)).toBeNull();
    expect(await store.find("../a", snapshot)).toBeNull();
    now += 60_001;
    expect(await store.find(ANNA, snapshot)).toBeNull();
    await store.tidy();
    expect(await readdir(path.join(folder, ANNA))).toEqual([]);
  });

  it("are not taken of a machine that is to go on elsewhere once their turn has come", async () => {
    const store = open(1_024);
    const before = Promise.withResolvers<void>();
    const slow = { ...machineOf(1), snapshot: (to: string) => before.promise.then(() => machineOf(1).snapshot(to)) };
    const first = store.take(slow, of(BERT));
    let isHere = true;
    const needHere = (): void => {
      if (!isHere) throw new Error("it is being moved");
    };
    const next = store.take(machineOf(1), { ...of(ANNA), needHere });
    isHere = false;
    before.resolve();
    await first;
    await expect(next).rejects.toThrow("it is being moved");
    expect(await readdir(folder)).toEqual([BERT]);
  });

  it("take no more room than their owner gives, and nobody more than half of it", async () => {
    const store = open(600);
    for (let i = 0; i < 2; i++) await store.take(machineOf(100 * MIB), of(ANNA));
    await expect(store.take(machineOf(100 * MIB), of(ANNA))).rejects.toThrow(/may need 0.1 GiB, this server has 0 GiB left for yours/);
    await store.take(machineOf(200 * MIB), of(BERT));
    await store.take(machineOf(90 * MIB), of(`p_${"c".repeat(40)}`));
    await expect(store.take(machineOf(1), of(`p_${"d".repeat(40)}`))).rejects.toThrow(/no room/);
  });

  it("are counted one after the other, however many are asked for at once", async () => {
    const store = open(300);
    const taken = await Promise.allSettled(Array.from({ length: 4 }, () => store.take(machineOf(100 * MIB), of(ANNA))));
    expect(taken.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("keep what their machine began with, whatever becomes of it elsewhere", async () => {
    const image = path.join(folder, "image");
    await writeFile(image, "bytes of an image");
    const store = new SnapshotStore(path.join(folder, "kept"), { bytesMax: 1_024 * MIB, keepMs: 60_000, now: () => now });
    const { snapshot } = await store.take(machineOf(1), { ...of(ANNA), blobs: new Map([[NONE, image]]) });
    await rm(image);
    const found = await store.find(ANNA, snapshot);
    expect(await readFile((await found?.blob(NONE)) ?? "", "utf8")).toBe("bytes of an image");
    expect(await found?.blob("1".repeat(64))).toBeNull();
  });

  it("leave nothing behind where they were cut short", async () => {
    await mkdir(path.join(folder, ANNA, "ab".repeat(32)), { recursive: true });
    await mkdir(path.join(folder, ANNA, `${"cd".repeat(32)}.part`));
    await writeFile(path.join(folder, ANNA, "ab".repeat(32), "snapshot.json"), '{"customer":');
    await open(1).tidy();
    expect(await readdir(path.join(folder, ANNA))).toEqual([]);
  });
});
