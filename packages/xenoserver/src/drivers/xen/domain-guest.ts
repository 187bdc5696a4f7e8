/** A lease's domain under the contract of all guests. Who controls the inputs: the customer, by what is asked of it; the guest. */
import type { Domain, Gate } from "@xenoservers/guests";
import { processOf } from "@xenoservers/protocol";
import type { GuestControls, GuestEnding, RunningGuest } from "../driver.ts";
import { inputOf } from "../qemu/guest-input.ts";
import { endingOf } from "../qemu/vm-ends.ts";
import type { Gates } from "../qemu/vm-gates.ts";
import { carryDomain, keptMib } from "./domain-carry.ts";

const NO_CARD = "this domain was ordered without a network card: run it with --network, --ssh-key or --egress";
const NO_SCREEN = "this domain was ordered without a screen: run it with --screen";
const NO_SHELL =
  "xeno exec, xeno cp and an agent reach images' domains alone here: use its console, or a network card (--ssh-key, --network)";
const NO_AGENT = "an image's Xen domain has no agent here: xeno exec and xeno cp reach what runs in it";

/** What no domain of this driver has is refused in words, whoever asks. */
const refused = (why: string) => (): Promise<never> => Promise.reject(new Error(why));

function controlsOf(domain: Domain, snapshot: GuestControls["snapshot"]): GuestControls {
  const { sessions, spec } = domain;
  const held = processOf(spec.vm);
  return {
    input: (bytes) => domain.type(bytes),
    stdin: held.stdin && sessions ? inputOf((changed) => sessions.stdin(changed), held.terminal !== null) : null,
    resize: (window) => sessions?.resize(window),
    open: (port) => (domain.card ? domain.card.connect(port) : Promise.reject(new Error(NO_CARD))),
    shell: () => (sessions ? sessions.shell.open() : Promise.reject(new Error(NO_SHELL))),
    screen: () => (domain.deviceModel && spec.screen === true ? domain.deviceModel.screen() : Promise.reject(new Error(NO_SCREEN))),
    agent: refused(sessions ? NO_AGENT : NO_SHELL),
    reboot: sessions ? refused("an image's job runs once: order it again") : () => domain.reboot(),
    snapshot,
  };
}

interface Around {
  fuelMax: bigint;
  monotonicMs(): number;
  snapshot: GuestControls["snapshot"];
  gates: Gates;
  /** What its guest reaches; null where that is nothing. */
  gate: Gate | null;
  /** Its memory can be sent to another host while it runs. */
  isLive: boolean;
}

export function runningDomain(domain: Domain, { fuelMax, monotonicMs, snapshot, gates, gate, isLive }: Around): RunningGuest {
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
    onStall: (told) => domain.onStall(told),
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
    carry: () => carryDomain(domain, isLive),
    keptMib: () => keptMib(domain),
    controls: controlsOf(domain, snapshot),
  };
}
