/** Where what a machine is made of lies on a machine with Node: its files and folders, its container engine's settings, registries. */
import { open, stat } from "node:fs/promises";
import path from "node:path";
import type { SourceEntry } from "../blob.ts";
import { AbortedError, InputError } from "../errors.ts";
import { openGiven, passedOf, type Given, type OpenedBytes, type Reading } from "../given-bytes.ts";
import type { MachinePlace } from "../machine/machine-place.ts";
import { openImage } from "../oci/image.ts";
import { isOnThisMachine } from "../oci/on-this-machine.ts";
import { parseReference } from "../oci/reference.ts";
import { UNPACKED_BYTES_MAX, heldImage } from "../oci/held-image.ts";
import { inWords } from "../oci/in-words.ts";
import { fileBlob, readTree } from "../tree.ts";
import { home } from "./home.ts";
import { inWordsOf, lookFirst, type Looking } from "./image-address.ts";
import { inputsOf } from "./input-files.ts";
import { pruneKept } from "./kept-room.ts";
import { sharedFolder } from "./program-job.ts";

/** What is to lie in /in. */
interface Inputs {
  in?: string | undefined;
  files?: readonly SourceEntry[] | undefined;
}

/** Of what is looked at before all of it is read. */
async function readOnce(file: string, offset: number, length: number): Promise<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const { bytesRead, buffer } = await handle.read(new Uint8Array(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function openFile(file: string, option: string, reading: Reading): Promise<OpenedBytes> {
  const found = await stat(file).catch(() => null);
  if (found === null) throw new InputError(`${option}: there is no file ${file}`);
  if (!found.isFile()) throw new InputError(`${option}: ${file} is no file`);
  const { size } = found;
  const name = path.basename(file);
  return {
    ...{ name, size, read: (offset, length) => readOnce(file, offset, length) },
    blob: () =>
      fileBlob(file, passedOf(reading, name, size)).catch((cause: unknown) => {
        if (cause instanceof AbortedError) throw cause;
        throw new InputError(`${option}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      }),
  };
}

const opened = (given: Given, option: string, reading: Reading): Promise<OpenedBytes> =>
  typeof given === "string" ? openFile(given, option, reading) : openGiven(given, option, reading);

/** Node holds what it unpacks in memory; who waits for it is not to be killed for it. */
const unpackedMax = (): number => Math.min(UNPACKED_BYTES_MAX, Math.floor(process.availableMemory() / 2));

async function imageOf(given: Given, layersMax: number, { watch }: Looking, reading: Reading) {
  if (typeof given !== "string")
    return heldImage(await openGiven(given, "--image", reading), { reading, unpackedMax: unpackedMax(), layersMax }).catch(inWords);
  if (!isOnThisMachine(given) && !parseReference(given))
    throw new InputError(`${given} is neither a .wasm module, a .py script, nor the name of an image`);
  const image = await openImage(given, path.join(home.data, "oci"), watch).catch(inWordsOf(given));
  await pruneKept(home.data);
  return image;
}

export function machineHere(inputs: Inputs, looking: Looking, reading: Reading = {}): MachinePlace {
  const { rows, columns } = process.stdout;
  return {
    window: { ...(rows === undefined ? {} : { rows }), ...(columns === undefined ? {} : { columns }) },
    open: (given, option) => opened(given, option, reading),
    lookFirst: (url, disk) => lookFirst(url, disk, looking),
    image: (given, most) => imageOf(given, most, looking, reading),
    async script(word) {
      const isScript = /\.[a-z0-9]+$/i.test(word) && (await stat(word).catch(() => null))?.isFile() === true;
      return isScript ? openFile(word, word, reading) : null;
    },
    inputs: () => inputsOf(inputs, reading),
    folder: sharedFolder,
    tree: (folder) => readTree(folder, reading),
  };
}
