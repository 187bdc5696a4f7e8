/**
 * A lease's domain on its way to another server: its state as Xen sends it, its disks, what it has printed, and the files that it boots.
 * Who controls the inputs: the guest.
 */
import path from "node:path";
import { EMULATED_STAYS, IMAGE_STAYS, deviceModelMibOf, type Bootable, type Domain } from "@xenoservers/guests";
import type { VmSpec } from "@xenoservers/protocol";
import type { CarriedFile, Carrying } from "../driver.ts";
import { SLACK_MIB, takenMib } from "../room-to-carry.ts";
import { BLOB, BOOT, CONSOLE, DISK, KIND, LIVE, STILL } from "./domain-parts.ts";
import { piecesOf, streamedPieces, wholeOf, type Sent } from "./sparse-pieces.ts";

/** Why a domain ends where it began, in words; null where it can go on elsewhere. */
export function stayingProblem(spec: VmSpec, bootable: Bootable): string | null {
  if (spec.vm.kind === "oci") return IMAGE_STAYS;
  return deviceModelMibOf(spec, bootable) > 0 ? EMULATED_STAYS : null;
}

const fileOf = (name: string, file: string): CarriedFile => ({ name, pieces: () => piecesOf(file) });

const textOf = (name: string, text: string): CarriedFile => ({
  name,
  async *pieces() {
    yield wholeOf(text);
  },
});

/** What another server would keep of it as it is now: its state is no file there. */
export async function keptMib({ carrying, spec }: Domain): Promise<number> {
  const { own } = carrying.disks;
  return Math.ceil(own === null ? 0 : await takenMib(own)) + spec.outputMibMax + SLACK_MIB;
}

/** `isLive`: the hypervisor sends memory of its kind while it runs. Throws, in words, where it stays. */
export async function carryDomain(domain: Domain, isLive: boolean): Promise<Carrying> {
  const { carrying, spec } = domain;
  if (carrying.problem !== null) throw new Error(carrying.problem);
  const { own, unchanged } = carrying.disks;
  const sent: Sent = new Map();
  const disk = own === null ? [] : [{ name: DISK, pieces: () => piecesOf(own, sent) }];
  let isStateSent = false;
  const live: CarriedFile = {
    name: LIVE,
    async *pieces() {
      try {
        yield* streamedPieces(carrying.live());
        isStateSent = true;
      } catch {
        // it runs on, and is sent as it stands still; the log has why
      }
    },
  };
  return {
    running: [
      textOf(KIND, carrying.kind),
      textOf(BOOT, JSON.stringify(spec.vm)),
      ...[...domain.bootFiles()].map(([digest, file]) => fileOf(`${BLOB}${digest}`, file)),
      ...unchanged.map((file) => fileOf(path.basename(file), file)),
      // what is written to it meanwhile is sent again
      ...disk,
      ...(isLive && (await carrying.runs()) ? [live] : []),
    ],
    // what cannot be journaled just then is with whatever is next
    standsByItself: true,
    onStill: (told) => carrying.onStill(() => void told().catch(() => {})),
    async rest() {
      return [
        ...(isStateSent ? [] : [{ name: STILL, pieces: () => streamedPieces(carrying.still()) }]),
        ...disk,
        {
          name: CONSOLE,
          async *pieces() {
            await carrying.lastWords();
            yield* piecesOf(carrying.console);
          },
        },
      ];
    },
    dispose: async () => {},
  };
}
