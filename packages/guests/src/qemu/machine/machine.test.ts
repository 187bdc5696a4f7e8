/** What excludes each other in a machine: a snapshot and a move, which go the same way out of QEMU. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Machine } from "./machine.ts";
import type { Vm } from "./vm.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-machine-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const sending = {
  ...{ memoryMib: 64, isLive: true, nearly: async () => {}, maySoon: async () => true, still: async () => {} },
};

it("is sent nowhere while a snapshot of it is taken, which is not ended by that", async () => {
  const asked: string[] = [];
  const looked = Promise.withResolvers<boolean>();
  const vm = {
    ...{ folder, uid: 0, isGone: false, ended: new Promise(() => {}), isRunning: () => looked.promise },
    pause: async () => {
      throw new Error("no further");
    },
    qmp: async (command: string) => {
      asked.push(command);
      return { status: "none" };
    },
  } as unknown as Vm;
  const token = { kind: "other", folder, base: "", baseFormat: "" } as unknown as Machine["token"];
  const machine = new Machine(vm, token, { port: null } as unknown as ConstructorParameters<typeof Machine>[2]);
  const kept = machine.snapshot(path.join(folder, "snapshot"));
  await expect(machine.state(sending).next()).rejects.toThrow("a snapshot of the machine is being taken: move it in a moment");
  await machine.stayed();
  expect(asked).toEqual([]);
  looked.resolve(true);
  await expect(kept).rejects.toThrow("no further");
  await machine.stayed();
  expect(asked).toEqual(["migrate_cancel", "query-migrate", "migrate-set-capabilities"]);
});
