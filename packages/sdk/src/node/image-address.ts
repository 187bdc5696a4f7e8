/**
 * What a server will fetch is looked at before one is ordered: a slot has its price, also where the image is not there. Who controls the
 * inputs: the customer (address); whoever answers there.
 */
import { stat } from "node:fs/promises";
import { lookAtAddress } from "../oci/address.ts";
import type { ImageWatch } from "../oci/image-watch.ts";
import { inWords } from "../oci/in-words.ts";
import { isOnThisMachine } from "../oci/on-this-machine.ts";
import { OciError } from "../oci/source.ts";
import { shellWord } from "./shell-word.ts";
import { InputError } from "../errors.ts";
import { mib } from "../words.ts";

const MIB = 1024 * 1024;

/** As `inWords`, for what is asked of a registry; a file or folder of that name here may have been meant. */
export const inWordsOf =
  (reference: string) =>
  async (error: unknown): Promise<never> => {
    const here = error instanceof OciError && !isOnThisMachine(reference) ? await stat(reference).catch(() => null) : null;
    if (here === null) return inWords(error);
    const [what, way] = here.isDirectory() ? ["folder", "oci"] : ["file", "archive"];
    const said = error instanceof Error ? error.message : "";
    throw new InputError(
      `${said}; ${reference} is a ${what} here, too: for an image in it write --image ${shellWord(`${way}:${reference}`)}`,
    );
  };

/** Who is told while an image is looked for or brought here. */
export interface Looking {
  watch: ImageWatch | undefined;
  warn(text: string): void;
}

/** `disk`: MiB that were ordered for it. */
export async function lookFirst(url: string, disk: number | null, { watch, warn }: Looking): Promise<void> {
  if (!URL.canParse(url)) throw new InputError(`${url} is no address`);
  const found = await lookAtAddress(url, watch?.onWait ?? (() => {})).catch(inWords);
  if (!found.reached) warn(`${found.why} from here; whether its server reaches it, it will say`);
  if (found.reached && found.bytes !== null && disk !== null && found.bytes > disk * MIB)
    throw new InputError(`the image at that address is ${mib(Math.ceil(found.bytes / MIB))}, larger than the disk: order more with --disk`);
}
