/**
 * A lease's domain on its way to another server: its state as Xen saves it, its disks, what it has printed, and the files that it boots.
 * Who controls the inputs: the guest; of what arrives, the server that hands it over, the same owner's.
 */
import { access, readFile, rm } from "node:fs/promises";
import path from "node:path";
import {
  EMULATED_STAYS,
  IMAGE_STAYS,
  STATE,
  deviceModelMibOf,
  hashedFiles,
  type Bootable,
  type Domain,
  type DomainKind,
  type SavedDomain,
} from "@xenoservers/guests";
import { zVmSpec, type VmBoot, type VmSpec } from "@xenoservers/protocol";
import type { Arriving, CarriedFile, Carrying } from "../driver.ts";
import { needRoomToCarry } from "../room-to-carry.ts";
import { addPiece, piecesOf, streamedPieces, wholeOf, type Sent } from "./sparse-pieces.ts";

/** How the domain meets its hypervisor. */
const KIND = "kind";
/** What it boots should it restart, where its order names a snapshot. */
const BOOT = "boot";
const CONSOLE = "console";
/** Its state as it was sent while it ran, in place of the saved one. */
const LIVE = "live";
const DISK = "disk.raw";
const BLOB = "blob-";
const IS_PART = /^(kind|boot|state|live|console|(?:disk|base|seed)\.raw|blob-[0-9a-f]{64})$/;

/** Why a domain ends where it began, in words; null where it can go on elsewhere. */
export function stayingProblem(spec: VmSpec, bootable: Bootable): string | null {
  if (spec.vm.kind === "oci") return IMAGE_STAYS;
  return deviceModelMibOf(spec, bootable) > 0 ? EMULATED_STAYS : null;
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

const fileOf = (name: string, file: string): CarriedFile => ({ name, pieces: () => piecesOf(file) });

const textOf = (name: string, text: string): CarriedFile => ({
  name,
  async *pieces() {
    yield wholeOf(text);
  },
});

/** Of its memory, what a saved domain takes. */
const STATE_SHARE = 1.1;
const carriedFolder = ({ token }: Domain): string => path.join(token.folder, "carried");

/** What a daemon that was killed had put by for another server. */
export const forgetCarried = (domain: Domain): Promise<void> => rm(carriedFolder(domain), { recursive: true, force: true });

/** `isLive`: the hypervisor sends memory of its kind while it runs. Throws, in words, where it stays. */
export async function carryDomain(domain: Domain, isLive: boolean): Promise<Carrying> {
  const { carrying, spec, token } = domain;
  if (carrying.problem !== null) throw new Error(carrying.problem);
  const folder = carriedFolder(domain);
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
        // it runs on, and is saved; the log has why
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
    onStill: (told) => carrying.onStill(told),
    async rest() {
      if (!isStateSent) {
        await needRoomToCarry(token.folder, spec.memoryMib * STATE_SHARE);
        await carrying.saveStill(folder);
      }
      return [
        ...(isStateSent ? [] : [fileOf(STATE, path.join(folder, STATE))]),
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
    dispose: () => forgetCarried(domain),
  };
}

/** A domain that comes, in a folder of its own. */
export class ArrivingDomain implements Arriving {
  readonly folder: string;
  readonly #kind: DomainKind;
  /** Images of which pieces came since they were held against their digests. */
  readonly #unchecked = new Set<string>();

  /** `kind`: what the server makes now. */
  constructor(folder: string, kind: DomainKind) {
    this.folder = folder;
    this.#kind = kind;
  }

  async add(name: string, bytes: Uint8Array): Promise<void> {
    if (!IS_PART.test(name)) throw new Error(`no part of a domain is called ${name}`);
    if (!this.#unchecked.has(name)) await this.#checkImages();
    if (name.startsWith(BLOB)) this.#unchecked.add(name);
    await addPiece(path.join(this.folder, name), bytes);
    if (name === KIND) await this.#needKind();
  }

  /** Each is whole once another file comes, while the domain still runs. Throws where one is not what its digest says. */
  async #checkImages(): Promise<void> {
    for (const name of this.#unchecked) {
      const digest = name.slice(BLOB.length);
      if ((await hashedFiles.digestOf(path.join(this.folder, name))) !== digest)
        throw new Error(`the image ${digest.slice(0, 12)} did not come as it is`);
    }
    this.#unchecked.clear();
  }

  /** Said first: nothing else is carried in vain. */
  async #needKind(): Promise<void> {
    const kind = await readFile(path.join(this.folder, KIND), "utf8");
    if (kind !== this.#kind) throw new Error(`it is a ${kind} domain, and that server makes ${this.#kind} domains ([xen] guests)`);
  }

  blobFile = (digest: string): string => path.join(this.folder, `${BLOB}${digest}`);

  /** What a domain goes on from here. Throws where not all of it has come. */
  async source(ordered: VmSpec): Promise<SavedDomain> {
    await this.#checkImages();
    const at = (name: string): string => path.join(this.folder, name);
    const state = (await isThere(at(STATE))) ? STATE : LIVE;
    for (const name of [KIND, BOOT, state, CONSOLE]) if (!(await isThere(at(name)))) throw new Error(`its ${name} has not come`);
    const boot = (): Promise<VmBoot> => readFile(at(BOOT), "utf8").then((text) => zVmSpec.shape.vm.parse(JSON.parse(text)));
    const vm = ordered.vm.kind === "snapshot" ? await boot() : ordered.vm;
    return {
      ...{ spec: { ...ordered, vm }, state: at(state), arrived: { console: at(CONSOLE) } },
      disk: (await isThere(at(DISK))) ? at(DISK) : null,
    };
  }

  discard(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
