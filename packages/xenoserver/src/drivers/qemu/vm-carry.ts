/**
 * A lease's machine on its way to another server: the images that it was made of, then its memory and devices, while it runs; as it stands
 * still the last of these, its disk, and what it has printed. Who controls the inputs: the guest; of what arrives, the server that hands it
 * over, the same owner's.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, appendFile, chmod, mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { StoodTooSoon, VM_STREAMS, type Machine, type SnapshotSource } from "@xenoservers/guests";
import type { VmSpec } from "@xenoservers/protocol";
import type { Arriving, CarriedFile, Carrying } from "../driver.ts";
import { SLACK_MIB, needRoomToCarry } from "../room-to-carry.ts";

const MIB = 1024 * 1024;
const PIECE_BYTES = 252 * 1024;
const STATE = "state";
/** In place of that, which was sent in vain. */
const AGAIN = "state-again";
const DISK = "disk.qcow2";
/** By which an image's guest is known by its answer; empty for others. */
const TOKEN = "token";
const BLOB = "blob-";
const IS_PART = /^(state|state-again|disk\.qcow2|token|console|stdout|stderr|blob-[0-9a-f]{64})$/;

/** Why a machine ends where it began, in words; null where it can go on elsewhere. */
export function stayingProblem(spec: VmSpec): string | null {
  return spec.vm.kind === "snapshot" ? "its machine began with a snapshot, which is on this server alone" : null;
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

const fileOf = (name: string, file: string): CarriedFile => ({
  name,
  pieces: () => createReadStream(file, { highWaterMark: PIECE_BYTES }),
});

function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) yield bytes.subarray(from, from + PIECE_BYTES);
}

const printedOf = (machine: Machine, stream: (typeof VM_STREAMS)[number]): CarriedFile => ({
  name: stream,
  async *pieces() {
    for (let at = 0; ;) {
      const bytes = await machine.read(stream, at);
      if (bytes.length === 0) return;
      yield* inPieces(bytes);
      at += bytes.length;
    }
  },
});

const carriedFolder = ({ folder }: Machine["token"]): string => path.join(folder, "carried");

/** What a daemon that was killed had put by for another server. */
export async function forgetCarried(machine: Machine): Promise<void> {
  await rm(carriedFolder(machine.token), { recursive: true, force: true });
}

/** What another server would keep of it as it is now. */
export async function keptMib(machine: Machine, memoryMib: number): Promise<number> {
  const printedBytes = VM_STREAMS.reduce((sum, stream) => sum + (machine.vm?.size(stream) ?? 0), 0);
  return Math.ceil(memoryMib + ((await machine.diskBytes()) + printedBytes) / MIB) + SLACK_MIB;
}

/** What leads to its guest and from it. */
interface Connections {
  /** Resets them, while its guest still runs and hears of it. */
  cut(): Promise<void>;
  areOpen(): boolean;
  /** They may begin again. */
  joinAgain(): void;
}

interface CarriedMachine {
  /** Of its guest. */
  memoryMib: number;
  /** Whether it can be sent while it runs. */
  isLive: boolean;
  /** What it was made of, by digest. */
  blobs: ReadonlyMap<string, string>;
  connections: Connections;
}

export function carryMachine(machine: Machine, { memoryMib, isLive, blobs, connections }: CarriedMachine): Carrying {
  const { kind, ociToken } = machine.token;
  const folder = carriedFolder(machine.token);
  let still = async (): Promise<void> => {};
  const nearly = (): Promise<void> => connections.cut();
  async function* stateWhere(maySoon: () => Promise<boolean>): AsyncGenerator<Uint8Array> {
    for await (const bytes of machine.state({ memoryMib, isLive, nearly, maySoon, still: () => still() })) yield* inPieces(bytes);
  }
  let stoodTooSoon = false;
  const state: CarriedFile = {
    name: STATE,
    async *pieces() {
      try {
        // who is connected is to hear of it first
        yield* stateWhere(async () => !connections.areOpen());
      } catch (error) {
        if (!(error instanceof StoodTooSoon)) throw error;
        stoodTooSoon = true;
      }
    },
  };
  const again: CarriedFile = {
    name: AGAIN,
    async *pieces() {
      if (!stoodTooSoon) return;
      await connections.cut();
      yield* stateWhere(async () => true);
    },
  };
  const token: CarriedFile = {
    name: TOKEN,
    async *pieces() {
      if (kind === "oci") yield Buffer.from(ociToken);
    },
  };
  return {
    running: [...[...blobs].map(([digest, file]) => fileOf(`${BLOB}${digest}`, file)), token, state, again],
    onStill: (told) => (still = told),
    async rest() {
      await forgetCarried(machine);
      await needRoomToCarry(machine.token.folder, (await machine.diskBytes()) / MIB);
      await mkdir(folder, { mode: 0o700 });
      const disk = path.join(folder, DISK);
      return [...((await machine.disk(disk)) ? [fileOf(DISK, disk)] : []), ...VM_STREAMS.map((stream) => printedOf(machine, stream))];
    },
    dispose: async () => {
      await machine.stayed();
      connections.joinAgain();
      await forgetCarried(machine);
    },
  };
}

/** A machine that comes, in a folder of its own. */
export class ArrivingMachine implements Arriving {
  readonly folder: string;
  /** Of the images, what has come of each. */
  readonly #hashes = new Map<string, Hash>();

  constructor(folder: string) {
    this.folder = folder;
  }

  async add(name: string, bytes: Uint8Array): Promise<void> {
    if (!IS_PART.test(name)) throw new Error(`no part of a machine is called ${name}`);
    if (name === AGAIN) await rm(path.join(this.folder, STATE), { force: true });
    if (name.startsWith(BLOB)) this.#hash(name.slice(BLOB.length)).update(bytes);
    await appendFile(path.join(this.folder, name), bytes, { mode: 0o600 });
  }

  #hash(digest: string): Hash {
    const hash = this.#hashes.get(digest) ?? createHash("sha256");
    this.#hashes.set(digest, hash);
    return hash;
  }

  /** Each of the images that it was made of is told, with its file. Throws where one is not what its digest says. */
  async images(told: (digest: string, file: string) => Promise<void>): Promise<void> {
    for (const [digest, hash] of this.#hashes) {
      if (hash.digest("hex") !== digest) throw new Error(`the image ${digest.slice(0, 12)} did not come as it is`);
      await told(digest, path.join(this.folder, `${BLOB}${digest}`));
    }
    this.#hashes.clear();
  }

  /** What a machine goes on from here. Of a part that is empty nothing came. */
  async source(spec: VmSpec): Promise<SnapshotSource> {
    const at = (name: string): string => path.join(this.folder, name);
    for (const name of [...VM_STREAMS, TOKEN]) await appendFile(at(name), "", { mode: 0o600 });
    const disk = (await isThere(at(DISK))) ? at(DISK) : null;
    // by the box of its machine, in folders that nobody else can enter
    if (disk !== null) await chmod(disk, 0o444);
    return {
      ...{ spec, state: at((await isThere(at(AGAIN))) ? AGAIN : STATE), disk, ociToken: await readFile(at(TOKEN), "utf8") },
      printed: { console: at("console"), stdout: at("stdout"), stderr: at("stderr") },
    };
  }

  discard(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
