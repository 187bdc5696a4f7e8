import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bootOfHost, endOfGone } from "./gone.ts";
import type { MachineToken } from "./machine-end.ts";
import { VM_FILES } from "./plan.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-gone-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const token = (over: Partial<MachineToken> = {}): MachineToken => ({
  ...{ folder, pid: 1, startTicks: "1", kind: "other", outputMibMax: 1, diskMib: 0, uid: 0, base: "", baseFormat: "" },
  ...{ cgroup: "", cgroupKind: "none", ociToken: "" },
  ...over,
});

it("is the host's doing only where the host itself was restarted", async () => {
  expect(await endOfGone(token({ boot: "another start of this host" }))).toMatchObject({ kind: "host" });
});

it("cannot be told where the machine is gone and its host is not, and says QEMU's last words", async () => {
  const boot = await bootOfHost();
  expect(boot).toMatch(/^[0-9a-f-]{36}$/);
  expect(await endOfGone(token({ boot }))).toEqual({ kind: "crashed", detail: "QEMU ended while no daemon ran" });
  await writeFile(path.join(folder, VM_FILES.log), "one\ntwo\nthree\n");
  expect(await endOfGone(token({ boot }))).toEqual({ kind: "crashed", detail: "QEMU ended while no daemon ran: two / three" });
  const ofUnshare = "unshare: sigprocmask unblock failed: Invalid argument\n";
  await writeFile(path.join(folder, VM_FILES.log), `one\ntwo\nthree\n${ofUnshare}`);
  expect(await endOfGone(token({ boot }))).toEqual({ kind: "crashed", detail: "QEMU ended while no daemon ran: two / three" });
  await writeFile(path.join(folder, VM_FILES.log), ofUnshare);
  expect(await endOfGone(token({ boot }))).toEqual({ kind: "crashed", detail: "QEMU ended while no daemon ran" });
  expect(await endOfGone(token())).toMatchObject({ kind: "crashed" });
});
