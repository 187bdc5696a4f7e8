/**
 * A layer's bytes as the archive they are, within bounds. What Node does not unpack, a program does, in a box like that which writes the
 * disks. Who controls the inputs: the customer, every byte.
 */
import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { Transform, type Duplex, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  PACKING_BYTES,
  PROGRAMS,
  isByProgram,
  isDamage,
  packingOf,
  throughProgram,
  unpackers,
  type Packing,
  type ProgramPacking,
} from "@xenoservers/protocol/unpack";
import { uidOf } from "../machine/box.ts";
import { inOwnBox } from "../machine/own-box.ts";
import { giveToBox, makeVmFolder } from "../machine/vm.ts";
import { Refusal } from "../refusal.ts";

const READ_BYTES = 1024 * 1024;
/** Of the box that unpacks; it is no lease's. */
const UNPACKER = "00000003";
const UNPACKER_MIB = 192;
/** It writes no file. */
const FILE_MIB = 1;
const TIMEOUT_MS = 10 * 60_000;

/** Throws Refusal where it is nothing that is read here. */
export async function packingOfFile(file: string): Promise<Packing> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(PACKING_BYTES), 0, PACKING_BYTES, 0);
    const found = packingOf(buffer.subarray(0, bytesRead));
    if (!found.ok) throw new Refusal("bytes", found.why);
    return found.packing;
  } finally {
    await handle.close();
  }
}

/** Passes on so many bytes and no more. */
class Bounded extends Transform {
  #left: number;
  readonly #refusal: () => Refusal;
  constructor(most: number, refusal: () => Refusal) {
    super();
    this.#left = most;
    this.#refusal = refusal;
  }
  override _transform(chunk: Buffer, _: string, done: (error?: Error | null, data?: Buffer) => void): void {
    this.#left -= chunk.length;
    if (this.#left < 0) done(this.#refusal());
    else done(null, chunk);
  }
}

interface Most {
  bytesMax: number;
  tooMuch(): Refusal;
  /** For a box, where a program has to; does not exist. */
  work: string;
  signal?: AbortSignal;
}

/** Calls with what the bytes go through. */
async function inBox(packing: ProgramPacking, work: string, call: (through: Duplex) => Promise<void>): Promise<void> {
  await makeVmFolder(work);
  const [folder, uid] = [path.join(work, "box"), uidOf(UNPACKER)];
  await giveToBox(folder, uid);
  const box = { folder, fileMibMax: FILE_MIB, uid, memoryMib: UNPACKER_MIB };
  await inOwnBox(box, PROGRAMS[packing], ([program, ...args]) =>
    // SIGKILL: unshare ignores what asks it to end, and takes its children along when it dies
    call(
      throughProgram(packing, () =>
        spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], timeout: TIMEOUT_MS, killSignal: "SIGKILL", detached: true }),
      ),
    ),
  );
}

/** Unpacks into `to`. Throws Refusal where the bytes are at fault or, by `tooMuch`, more than `bytesMax`; anything where called off. */
export async function unpack(file: string, packing: Packing, to: Writable, { bytesMax, tooMuch, work, signal }: Most): Promise<void> {
  const passed = (...through: Duplex[]): Promise<void> => {
    const from = createReadStream(file, { highWaterMark: READ_BYTES });
    return pipeline([from, ...through, new Bounded(bytesMax, tooMuch), to], signal ? { signal } : {});
  };
  try {
    if (isByProgram(packing)) return await inBox(packing, work, passed);
    const through = unpackers(packing);
    if (!through) throw new Error(`this version of Node cannot unpack ${packing}`);
    await passed(...through);
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    if (!isDamage(cause)) throw cause;
    throw new Refusal("bytes", `a layer is damaged: ${packing} says ${cause.message}`, { cause });
  }
}
