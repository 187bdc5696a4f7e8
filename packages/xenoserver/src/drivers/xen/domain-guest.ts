/** A lease's domain under the contract of all guests. Who controls the inputs: the customer, by what is asked of it; the guest. */
import type { Domain } from "@xenoservers/guests";
import type { GuestControls, GuestEnding, RunningGuest } from "../driver.ts";
import { endingOf } from "../qemu/vm-ends.ts";

const NO_NETWORK = "a Xen domain has no network here: files and programs come in its RAM disk, answers on its console";

/** What no domain of this driver has is refused in words, whoever asks. */
const refused = (why: string) => (): Promise<never> => Promise.reject(new Error(why));

const controlsOf = (domain: Domain, snapshot: GuestControls["snapshot"]): GuestControls => ({
  input: (bytes) => domain.type(bytes),
  stdin: null,
  resize: () => {},
  open: refused(NO_NETWORK),
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
}

export function runningDomain(domain: Domain, { fuelMax, monotonicMs, snapshot }: Around): RunningGuest {
  let killed = false;
  const ended = domain.ended.then((end): GuestEnding =>
    killed
      ? { kind: "host-failure", detail: "the domain was ended", endedMonotonicMs: monotonicMs() }
      : endingOf(end, fuelMax, monotonicMs()),
  );
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
    release: () => domain.release(),
    dispose: () => domain.dispose(),
    controls: controlsOf(domain, snapshot),
  };
}
