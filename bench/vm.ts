/**
 * Virtual machines beside raw `qemu-system-x86_64` with the same guest and accelerator: cold start through the market, start from a snapshot, memory
 * of a hundred guests, a busy neighbour, and what the box costs a guest's work. Where QEMU is missing it says so and measures nothing.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Machines, Templates, findKernel, openQemuHost, overheadMib, type Machine, type QemuHost } from "@xenoservers/guests";
import { LeaseSession, VM_DRIVER, VM_OVERHEAD_MIB, buildVm, placeOrder, fileBlob, openLink } from "@xenoservers/sdk";
import type { VmSpec } from "@xenoservers/protocol";
import { MODE, cpio } from "../packages/guests/src/qemu/images/cpio.ts";
import { boxPath } from "../packages/guests/src/qemu/machine/vm.ts";
import { planVm } from "../packages/guests/src/qemu/machine/plan.ts";
import { innermostOf } from "../packages/guests/src/qemu/machine/box.ts";
import { startMarket, until, wanted } from "../test/process/market.ts";
import { busyboxLayer } from "./lib/busybox-layer.ts";
import { quantile, report, type Figure } from "./lib/report.ts";
import { openVirsh, type Virsh } from "./lib/virsh.ts";

const ROUNDS = 5;
const GUESTS = 100;
const MEMORY_MIB = 256;
const READY = "xeno-bench-ready";
const NONE = "0".repeat(64);

async function ramdisk(script: string): Promise<Buffer> {
  const init = `#!/bin/busybox sh\n/bin/busybox --install -s /bin\nmkdir -p /proc /dev\nmount -t proc proc /proc\nmount -t devtmpfs dev /dev\n${script}\nsleep 100000\n`;
  return cpio([
    { path: "init", mode: MODE.program, data: Buffer.from(init) },
    { path: "bin/busybox", mode: MODE.program, data: await readFile("/bin/busybox") },
  ]);
}

const kernelSpec = (kernel: string, initrd: string): VmSpec => ({
  vm: { kind: "kernel", kernel, initrd, append: "console=ttyS0 quiet" },
  ...{
    machine: "pc",
    firmware: "bios",
    devices: "virtio",
    tpm: false,
    vcpu: 1,
    memoryMib: MEMORY_MIB,
    diskMib: 0,
    outputMibMax: 64,
    network: false,
    egress: "none",
  },
  ...{ inputs: NONE, engine: null, fuelMax: "1", seed: NONE, clockBaseMs: 0 },
});

interface Seen {
  text: string;
  at(mark: string): Promise<number>;
}

/** Console text as it comes, and when a mark was first seen. */
function watch(read: (offset: number) => Promise<Uint8Array>): Seen & { stop(): void } {
  const seen = { text: "", stopped: false };
  const waiting = new Set<() => void>();
  void (async () => {
    while (!seen.stopped) {
      const bytes = await read(seen.text.length);
      seen.text += Buffer.from(bytes).toString("latin1");
      for (const wake of waiting) wake();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  return {
    get text() {
      return seen.text;
    },
    at: (mark) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!seen.text.includes(mark)) return;
          waiting.delete(check);
          resolve(performance.now());
        };
        waiting.add(check);
        check();
      }),
    stop: () => void (seen.stopped = true),
  };
}

/** QEMU alone with the plan's own arguments, paths outside of any box: what anybody would type. */
async function raw(host: QemuHost, folder: string, kernel: string, initrd: string, marks: readonly string[]): Promise<number[]> {
  const spec = kernelSpec(NONE, NONE);
  const planned = planVm({
    ...{ spec, accel: host.accel, files: { kernel, initrd }, diskIopsMax: 0, diskBytesPerSecondMax: 0, restore: null, sharedMemory: null },
    deterministic: false,
  });
  const args = planned.map((word) => word.replaceAll("/w/", `${folder}/`)).filter((word) => word !== "-S");
  const begun = performance.now();
  const child = spawn("qemu-system-x86_64", args, { stdio: "ignore" });
  const log = path.join(folder, "console.log");
  const seen = watch(async (offset) => (await readFile(log).catch(() => Buffer.alloc(0))).subarray(offset));
  try {
    const times: number[] = [];
    for (const mark of marks) times.push((await seen.at(mark)) - begun);
    return times;
  } finally {
    seen.stop();
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    await rm(log, { force: true });
  }
}

/** From `virsh create` to the guest's first line. */
async function byVirsh(virsh: Virsh): Promise<number> {
  const begun = performance.now();
  const created = virsh.create();
  const seen = watch(async (offset) => (await readFile(virsh.console).catch(() => Buffer.alloc(0))).subarray(offset));
  try {
    await created;
    return (await seen.at(READY)) - begun;
  } finally {
    seen.stop();
    await virsh.destroy();
  }
}

/** From the order to the guest's first line at its customer, against QEMU by hand, and against libvirt where it is installed. */
async function coldStart(host: QemuHost, folder: string, kernel: string): Promise<Figure[]> {
  const initrd = path.join(folder, "ready.cpio");
  await writeFile(initrd, await ramdisk(`echo ${READY}`));
  const virsh = await openVirsh({ accel: host.accel, kernel, initrd, memoryMib: MEMORY_MIB });
  const market = await startMarket({}, "[vm]\nsnapshots = 0\n");
  try {
    await until(async () =>
      (await market.customer.read("offers", { query: { driver: "qemu" } })).offers.some(({ vmScore }) => vmScore > 0),
    );
    const blobs = [await fileBlob(kernel), await fileBlob(initrd)];
    const through = async (): Promise<number> => {
      const { inputs: _i, fuelMax: _f, seed: _s, clockBaseMs: _c, ...machine } = kernelSpec(blobs[0]!.digest, blobs[1]!.digest);
      const job = buildVm({ ...machine, fuelMax: 1n, mounts: [], blobs });
      const begun = performance.now();
      const over = {
        resources: { vcpu: 1, memoryMib: MEMORY_MIB + VM_OVERHEAD_MIB.any, diskMib: 0 },
        terms: "by-interval" as const,
        fuelMax: 1n,
      };
      const bound = await placeOrder(market.customer, wanted({ ...over, driver: VM_DRIVER }), job.jobHash);
      let text = "";
      const ready = Promise.withResolvers<number>();
      let session: LeaseSession | null = null;
      const link = openLink(market.customer, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
      const onOutput = (_: string, bytes: Uint8Array): void => {
        text += Buffer.from(bytes).toString("latin1");
        if (text.includes(READY)) ready.resolve(performance.now());
      };
      session = new LeaseSession(market.customer, bound, job, { onOutput }, link);
      const took = (await ready.promise) - begun;
      await market.customer.act("stop", { lease: session.lease, party: market.customer.identity.party, reason: "measured" });
      await session.settled();
      session.close();
      link.stop();
      return took;
    };
    await through();
    if (virsh) await byVirsh(virsh);
    else console.warn("virsh is not measured: apt install libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu");
    const times: { ours: number[]; raw: number[]; virsh: number[] } = { ours: [], raw: [], virsh: [] };
    for (let i = 0; i < ROUNDS; i++) {
      times.raw.push((await raw(host, folder, kernel, initrd, [READY]))[0]!);
      times.ours.push(await through());
      if (virsh) times.virsh.push(await byVirsh(virsh));
    }
    const name = "machine's cold start, order → first line at the customer";
    const against = (peer: string, peerTimes: number[]): Figure =>
      report(name, quantile(times.ours, 0.5), "ms", { peer, peerValue: quantile(peerTimes, 0.5) }, 1.1);
    return [against(`raw QEMU (${host.accel})`, times.raw), ...(virsh ? [against("virsh create", times.virsh)] : [])];
  } finally {
    await virsh?.close();
    await market.close();
  }
}

const pss = async (machine: Machine): Promise<number> => {
  const pid = await innermostOf(machine.vm!.handle.id.pid);
  return Number(/^Pss:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, "utf8"))![1]) / 1_024;
};

/** Start from a snapshot, and what a hundred such guests weigh. */
async function snapshots(host: QemuHost, folder: string): Promise<Figure[]> {
  const layer = await busyboxLayer(folder);
  const templates = new Templates(path.join(folder, "snapshots"), 2);
  await templates.open();
  const options = {
    host,
    folder: path.join(folder, "machines"),
    cache: { folder: path.join(folder, "cache"), bytesMax: 1e9 },
    diskIopsMax: 10_000,
    diskBytesPerSecondMax: 1e9,
  };
  const [cold, warm] = [new Machines({ ...options, templates: null }), new Machines({ ...options, templates })];
  const spec: VmSpec = {
    ...kernelSpec(NONE, NONE),
    vm: {
      kind: "oci",
      image: NONE,
      layers: [{ digest: layer.digest, compression: "none" }],
      args: ["sh", "-c", `echo ${READY}; sleep 100000`],
      env: [],
      workdir: "",
      user: "",
      hostname: "",
    },
    diskMib: 64,
  };
  let last = 0;
  const begin = async (from: Machines): Promise<{ machine: Machine; resumedMs: number; lineMs: number }> => {
    const begun = performance.now();
    const name = (++last).toString(16).padStart(8, "0") + "b".repeat(56);
    const machine = await from.prepare({
      name,
      customer: "bench",
      spec,
      inputs: { entries: [], mounts: [] },
      memoryMib: MEMORY_MIB + overheadMib(host.accel),
      deterministic: false,
      from: null,
      blobFile: () => layer.file,
    });
    await machine.begin();
    const resumedMs = performance.now() - begun;
    const seen = watch((offset) => machine.vm!.read("stdout", offset));
    const lineMs = (await seen.at(READY)) - begun;
    seen.stop();
    return { machine, resumedMs, lineMs };
  };
  const live: Machine[] = [];
  try {
    const booted = [await begin(cold), await begin(cold)];
    const coldMib = ((await pss(booted[0]!.machine)) + (await pss(booted[1]!.machine))) / 2;
    const coldMs = quantile(
      booted.map(({ lineMs }) => lineMs),
      0.5,
    );
    for (const { machine } of booted) await machine.dispose();
    await warm.buildTemplate("bench", spec, () => layer.file);
    const timed: { machine: Machine; resumedMs: number; lineMs: number }[] = [];
    for (let i = 0; i < GUESTS; i++) {
      const one = await begin(warm);
      timed.push(one);
      live.push(one.machine);
    }
    const sizes = await Promise.all(live.map(pss));
    const keeperMib = MEMORY_MIB / GUESTS; // the snapshot's own memory at most, shared by all
    const each = sizes.reduce((sum, size) => sum + size, 0) / GUESTS;
    const first = timed.slice(0, 20);
    return [
      report(
        "machine from a snapshot, begun → it runs where the snapshot was taken",
        quantile(
          first.map(({ resumedMs }) => resumedMs),
          0.5,
        ),
        "ms",
        { peer: `the same guest booted (${host.accel})`, peerValue: coldMs },
        0.05,
      ),
      report(
        "machine from a snapshot, begun → first line of its job",
        quantile(
          first.map(({ lineMs }) => lineMs),
          0.5,
        ),
        "ms",
        { peer: "the same guest booted", peerValue: coldMs },
        null,
      ),
      report(
        `memory of each of ${GUESTS} live guests of one image`,
        each + keeperMib,
        "MiB",
        { peer: "a booted one (PSS)", peerValue: coldMib },
        1 / 7,
      ),
    ];
  } finally {
    for (const machine of live) await machine.dispose();
    await templates.clear();
  }
}

const WORK =
  'work() { a=$(cut -d" " -f1 /proc/uptime); i=0; while [ $i -lt 36 ]; do sha256sum /bin/busybox >/dev/null; i=$((i+1)); done; b=$(cut -d" " -f1 /proc/uptime); echo "took $a $b."; }';

/** Seconds of guest time per round of work, from its console. */
const tookAll = (text: string): number[] => [...text.matchAll(/took ([\d.]+) ([\d.]+)\./g)].map(([, a, b]) => Number(b) - Number(a));

/** A guest's own work: in the box against raw QEMU, and beside a busy neighbour against alone. */
async function work(host: QemuHost, folder: string, kernel: string): Promise<Figure[]> {
  const initrd = path.join(folder, "work.cpio");
  await writeFile(initrd, await ramdisk(`${WORK}\nwork >/dev/null\nwhile :; do work; done`));
  const machines = new Machines({
    host,
    folder: path.join(folder, "machines"),
    cache: { folder: path.join(folder, "cache"), bytesMax: 1e9 },
    diskIopsMax: 1,
    diskBytesPerSecondMax: 1,
    templates: null,
  });
  let last = 0;
  const begin = async (): Promise<Machine> => {
    const name = (++last).toString(16).padStart(8, "0") + "c".repeat(56);
    const spec = kernelSpec("kernel", "initrd");
    const machine = await machines.prepare({
      name,
      customer: "bench",
      spec,
      inputs: { entries: [], mounts: [] },
      memoryMib: MEMORY_MIB + overheadMib(host.accel),
      deterministic: false,
      from: null,
      blobFile: (digest) => (digest === "kernel" ? kernel : initrd),
    });
    await machine.begin();
    return machine;
  };
  const rounds = async (read: () => Promise<string>, after: number, count: number): Promise<number> => {
    // seldom: whoever looks takes processor time from the guests, which have both cores
    while (tookAll(await read()).length < after + count) await new Promise((resolve) => setTimeout(resolve, 500));
    return quantile(tookAll(await read()).slice(after, after + count), 0.5);
  };
  const console = async (machine: Machine): Promise<string> =>
    readFile(boxPath(machine.token.folder, "console.log"), "utf8").catch(() => "");
  const boxedTimes: number[] = [];
  const rawTimes: number[] = [];
  for (let i = 0; i < 5; i++) {
    const machine = await begin();
    boxedTimes.push(await rounds(() => console(machine), 1, 5));
    await machine.dispose();
    rawTimes.push(await rawWork(host, folder, kernel, initrd, rounds));
  }
  const machine = await begin();
  const neighbour = await begin();
  await until(async () => tookAll(await console(neighbour)).length > 0);
  // in turns, so that what else happens on the host falls on both
  const [aloneTimes, sharedTimes]: number[][] = [[], []];
  const next = async (): Promise<number> => rounds(() => console(machine), tookAll(await console(machine)).length + 1, 2);
  for (let i = 0; i < 6; i++) {
    await neighbour.vm!.pause();
    aloneTimes!.push(await next());
    await neighbour.vm!.begin();
    sharedTimes!.push(await next());
  }
  const [alone, shared] = [quantile(aloneTimes!, 0.5), quantile(sharedTimes!, 0.5)];
  await machine.dispose();
  await neighbour.dispose();
  return [
    report(
      "guest's own CPU work in the box",
      quantile(boxedTimes, 0.5) * 1_000,
      "ms",
      { peer: "raw QEMU", peerValue: quantile(rawTimes, 0.5) * 1_000 },
      1.02,
    ),
    report("guest's own CPU work beside a busy neighbour", shared * 1_000, "ms", { peer: "alone", peerValue: alone * 1_000 }, 1.04),
  ];
}

async function rawWork(
  host: QemuHost,
  folder: string,
  kernel: string,
  initrd: string,
  rounds: (read: () => Promise<string>, after: number, count: number) => Promise<number>,
): Promise<number> {
  const spec = kernelSpec(NONE, NONE);
  const planned = planVm({
    ...{ spec, accel: host.accel, files: { kernel, initrd }, diskIopsMax: 0, diskBytesPerSecondMax: 0, restore: null, sharedMemory: null },
    deterministic: false,
  });
  const child = spawn(
    "qemu-system-x86_64",
    planned.map((word) => word.replaceAll("/w/", `${folder}/`)).filter((word) => word !== "-S"),
    { stdio: "ignore" },
  );
  const log = path.join(folder, "console.log");
  try {
    return await rounds(() => readFile(log, "utf8").catch(() => ""), 1, 5);
  } finally {
    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    await rm(log, { force: true });
  }
}

export async function vm(): Promise<Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-vm-bench-"));
  const [state, found] = [await openQemuHost(path.join(folder, "cache")), await findKernel()];
  if (!state.ok || !found || !state.host.stock) {
    console.error(`SKIPPED: no machines can be measured here: ${state.ok ? state.host.stockWhy : state.why}`);
    return [];
  }
  try {
    const { host } = state;
    return [
      ...(await coldStart(host, folder, found.kernel)),
      ...(await snapshots(host, folder)),
      ...(await work(host, folder, found.kernel)),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
