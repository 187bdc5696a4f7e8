/** A lease's domain under the contract of all guests. Who controls the inputs: the customer, by what is asked of it; the guest. */
import type { Domain, Gate } from "@xenoservers/guests";
import type { GuestControls, GuestEnding, RunningGuest } from "../driver.ts";
import { endingOf } from "../qemu/vm-ends.ts";
import type { Gates } from "../qemu/vm-gates.ts";

const NO_CARD = "this domain was ordered without a network card: run it with --network, --ssh-key or --egress";

/** What no domain of this driver has is refused in words, whoever asks. */
const refused = (why: string) => (): Promise<never> => Promise.reject(new Error(why));

const controlsOf = (domain: Domain, snapshot: GuestControls["snapshot"]): GuestControls => ({
  input: (bytes) => domain.type(bytes),
  stdin: null,
  resize: () => {},
  open: (port) => (domain.card ? domain.card.connect(port) : Promise.reject(new Error(NO_CARD))),
  shell: refused("a domain that boots a kernel of yours has no shell of ours: use its console"),
  screen: refused("a Xen domain has no screen here"),
  agent: refused("a Xen domain has no channel for an agent here: use its console"),
  reboot: () => domain.reboot(),
  snapshot,
});

interface Around {
  fuelMax: bigint;
  monotonicMs(): number;
  snapshot: GuestControls["snapshot"];
  gates: Gates;
  /** What its guest reaches; null where that is nothing. */
  gate: Gate | null;
}

export function runningDomain(domain: Domain, { fuelMax, monotonicMs, snapshot, gates, gate }: Around): RunningGuest {
  let killed = false;
  const ended = domain.ended.then(async (end): Promise<GuestEnding> => {
    await gates.shut(gate);
    return killed
      ? { kind: "host-failure", detail: "the domain was ended", endedMonotonicMs: monotonicMs() }
      : endingOf(end, fuelMax, monotonicMs());
  });
  return {
    token: domain.token,
    ended,
    onChange: (changed) => domain.onChange(changed),
    readStream: (stream, offset) => domain.read(stream, offset),
    readOutput: (digest, offset, length) =>
      /^[0-9a-f]{64}$/.test(digest) ? domain.readOutput(digest, offset, length) : Promise.resolve(new Uint8Array(0)),
    stop: (withinMs) => domain.stop(withinMs),
    pause: () => domain.pause(),
    resume: () => domain.resume(),
    async kill() {
      killed = true;
      await domain.kill();
    },
    release() {
      void gates.shut(gate);
      domain.release();
    },
    egressBytes: () => gate?.bytes ?? 0,
    dispose: () => domain.dispose(),
    controls: controlsOf(domain, snapshot),
  };
}
