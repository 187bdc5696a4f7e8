/** A lease's machine under the contract of all guests. Who controls the inputs: the customer, by what is asked of it; the guest. */
import { Control, type Gate, type Machine } from "@xenoservers/guests";
import { processOf } from "@xenoservers/protocol";
import type { GuestControls, GuestEnding, RunningGuest } from "../driver.ts";
import { inputOf } from "./guest-input.ts";
import type { VmBlobs } from "./vm-blobs.ts";
import { endedAt, endingOf } from "./vm-ends.ts";
import { carryMachine, keptMib } from "./vm-carry.ts";
import type { Gates } from "./vm-gates.ts";
import type { VmJob } from "./vm-job.ts";
import type { SnapshotStore } from "./vm-snapshots.ts";

/** What the machines of one server share. */
interface Shared {
  gates: Gates;
  blobs: VmBlobs;
  kept: SnapshotStore;
  /** Whether they can be sent elsewhere while they run. */
  isLive: boolean;
  /** What is still done for a machine that is left running; this program waits for it before it goes. */
  leaving: Set<Promise<void>>;
}

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** After a machine stood still. Nobody waits for it: where nothing in the guest listens, its own clock service may find out. */
function setClock(machine: Machine, control: Control | null): void {
  if (machine.token.kind === "oci") machine.setClock();
  if (machine.token.kind === "other") void control?.agent.tellTime();
}

function controlsOf(machine: Machine, control: Control, job: VmJob, { blobs, kept }: Shared): GuestControls {
  const held = processOf(job.spec.vm);
  return {
    input: (bytes) => control.input(bytes),
    open: (port) => control.open(port),
    shell: () => control.shell.open(),
    screen: () => control.screen(),
    // of an image's program alone: what a snapshot was taken of has lost whoever fed it
    stdin: held.stdin ? inputOf((changed) => control.stdin(changed), held.terminal !== null) : null,
    resize: (window) => machine.resize(window),
    async agent(command, args) {
      await machine.wakeAgent();
      return control.ask(command, args);
    },
    async reboot() {
      if (machine.token.kind === "oci") throw new Error("an image's job runs once: order it again");
      await control.reboot();
    },
    async snapshot(needHere) {
      const { customer, spec, lease } = job;
      try {
        return await kept.take(machine, { customer, spec, lease, blobs: await blobs.of(job), needHere });
      } finally {
        // one that fails may have stood still for it, too
        setClock(machine, control);
      }
    },
  };
}

/** Output of a machine, and how it is held: what does not ask who it is for. */
function handlesOf(
  machine: Machine,
  control: Control | null,
): Pick<RunningGuest, "onChange" | "onStall" | "readStream" | "readOutput" | "stop" | "pause" | "resume" | "dispose"> {
  const { vm, token } = machine;
  const merged = token.kind === "other";
  return {
    onChange: (changed) => vm?.onChange(changed),
    onStall: (told) => vm?.onStall(told),
    readStream: (stream, offset) =>
      machine.read(merged ? "console" : stream, merged && stream === "stderr" ? Number.MAX_SAFE_INTEGER : offset),
    readOutput: (digest, offset, length) =>
      /^[0-9a-f]{64}$/.test(digest) ? machine.readOutput(digest, offset, length) : Promise.resolve(new Uint8Array(0)),
    stop: (withinMs) => machine.stop(withinMs),
    async pause() {
      if (!vm) throw new Error("the machine has ended");
      await vm.pause();
    },
    async resume() {
      if (!vm) throw new Error("the machine has ended");
      await vm.begin();
      setClock(machine, control);
    },
    dispose: () => machine.dispose(),
  };
}

/** What leads to the guest and from it, as one. */
const connectionsOf = (control: Control | null, gate: Gate | null) => ({
  async cut() {
    await Promise.all([control?.cut("moves"), gate?.cut("moves")]);
    await control?.isTold();
  },
  areOpen: () => Boolean(control?.hasConnections || gate?.hasConnections),
  joinAgain() {
    control?.joinAgain();
    gate?.letOut();
  },
});

/** Both ways its guest is told that what was open is broken off, whoever began it: an end would be taken for one. */
async function leave(control: Control | null, gate: Gate | null, { gates }: Shared): Promise<void> {
  await Promise.all([control?.cut("server-leaves"), gates.shut(gate, true)]);
  await control?.close();
}

/** Follows a machine, and lets it reach through its gate what it may; the gate is shut when it ends. */
export async function runningGuest(machine: Machine, job: VmJob, gate: Gate | null, shared: Shared): Promise<RunningGuest> {
  const { vm } = machine;
  const { gates } = shared;
  const control = vm
    ? new Control(vm, {
        hasNetwork: job.spec.network,
        hasScreen: job.spec.screen === true,
        wakeShell: machine.token.kind === "oci" ? () => machine.wakeShell() : null,
      })
    : null;
  if (gate && control) await gate.start(control.namespace, control.connections);
  if (job.spec.vm.kind === "snapshot") setClock(machine, control); // answered when it runs
  let killed = false;
  const ended = machine.ended.then(async (end): Promise<GuestEnding> => {
    await gates.shut(gate);
    await control?.close();
    return killed
      ? { kind: "host-failure", detail: "the machine was ended", endedMonotonicMs: monotonicMs() }
      : endingOf(end, job.fuelMax, endedAt(end, monotonicMs()));
  });
  return {
    ...handlesOf(machine, control),
    token: machine.token,
    ended,
    async kill() {
      killed = true;
      await vm?.kill();
    },
    release() {
      const left = leave(control, gate, shared)
        .catch(() => {})
        .finally(() => shared.leaving.delete(left));
      shared.leaving.add(left);
      machine.release();
    },
    egressBytes: () => gate?.bytes ?? 0,
    carry: async () =>
      carryMachine(machine, {
        memoryMib: job.spec.memoryMib,
        isLive: shared.isLive,
        blobs: await shared.blobs.of(job, ", which the other server would need"),
        connections: connectionsOf(control, gate),
      }),
    keptMib: () => keptMib(machine, job.spec.memoryMib),
    controls: control && controlsOf(machine, control, job, shared),
  };
}
