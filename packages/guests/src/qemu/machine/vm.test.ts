/** What is asked of a machine's QEMU, with a program in its place that answers when a test says so. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startTicksOf } from "../../programs/process-id.ts";
import { VM_FILES } from "./plan.ts";
import { QmpError } from "./qmp.ts";
import { boxPath, followVm, makeVmFolder, type Vm } from "./vm.ts";

/** Longer than any answer is waited for otherwise. */
const LONG_MS = 10 * 60_000;

let folder: string;
let server: Server;
let vm: Vm;
/** What was asked and has no answer yet. */
let asked: string[];
let answers: () => void;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-vm-"));
  await makeVmFolder(folder);
  asked = [];
  server = createServer((socket) => {
    answers = () =>
      void socket.write(
        `${asked
          .splice(0)
          .map(() => '{"return": {"status": "running"}}')
          .join("\n")}\n`,
      );
    createInterface(socket).on("line", (line) => {
      const { execute } = JSON.parse(line) as { execute: string };
      asked.push(execute);
      if (execute !== "system_reset") answers();
    });
  }).listen(boxPath(folder, VM_FILES.qmp));
  const id = { pid: process.pid, startTicks: (await startTicksOf(process.pid))! };
  vm = await followVm({ folder, id, uid: process.getuid!(), cgroup: null, outputMibMax: 1 });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(async () => {
  vi.useRealTimers();
  vm.release();
  server.close();
  await rm(folder, { recursive: true });
});

it("answers nobody while it sends the last of its state, and is not taken for dead by who asks for something then", async () => {
  vm.isSending = true;
  const reset = vm.qmp("system_reset");
  while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(LONG_MS);
  expect(vm.isGone).toBe(false);
  answers();
  await reset;
  expect(await vm.isRunning()).toBe(true);
});

it("is gone where it does not answer otherwise", async () => {
  const reset = vm.qmp("system_reset");
  const failed = expect(reset).rejects.toThrow(QmpError);
  vi.advanceTimersByTime(LONG_MS);
  await failed;
  expect(vm.isGone).toBe(true);
});
