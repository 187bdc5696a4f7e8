/** What excludes each other in a machine: a snapshot and a move, which go the same way out of QEMU. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Machine } from "./machine.ts";
import type { Vm } from "./vm.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-machine-"));
  await mkdir(path.join(folder, "box"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const sending = {
  ...{ memoryMib: 64, isLive: true, nearly: async () => {}, maySoon: async () => true, still: async () => {} },
};

it("is sent once a snapshot of it has come to its end, which is not ended by that; no other begins meanwhile", async () => {
  const asked: string[] = [];
  const looked = Promise.withResolvers<boolean>();
  const vm = {
    ...{ folder, uid: 0, isGone: false, ended: new Promise(() => {}), isRunning: () => looked.promise },
    pause: async () => {
      throw new Error("no further");
    },
    qmp: async (command: string) => {
      asked.push(command);
      if (command === "migrate-set-parameters") throw new Error("nothing is sent here");
      return { status: "none" };
    },
  } as unknown as Vm;
  const token = { kind: "other", folder, base: "", baseFormat: "" } as unknown as Machine["token"];
  const machine = new Machine(vm, token, { port: null } as unknown as ConstructorParameters<typeof Machine>[2]);
  const kept = machine.snapshot(path.join(folder, "snapshot"));
  const state = machine.state(sending).next();
  state.catch(() => {}); // waited for below
  await expect(machine.snapshot(path.join(folder, "another"))).rejects.toThrow("ask again in a moment");
  expect(asked).toEqual([]);
  looked.resolve(true);
  await expect(kept).rejects.toThrow("no further");
  await expect(state).rejects.toThrow("nothing is sent here");
  expect(asked).toEqual([
    "migrate-set-capabilities",
    "migrate-set-parameters",
    "migrate_cancel",
    "query-migrate",
    "migrate-set-capabilities",
  ]);
  await machine.stayed();
  await expect(machine.snapshot(path.join(folder, "later"))).rejects.toThrow("no further");
});
