/**
 * What a server will fetch is looked at before one is ordered: a slot has its price, also where the image is not there. Who controls the
 * inputs: the customer (address); whoever answers there.
 */
import { stat } from "node:fs/promises";
import { OciError, isOnThisMachine, lookAtAddress } from "@xenoservers/sdk";
import { fetching } from "../output/fetching.ts";
import { shellWord } from "../output/shell-word.ts";
import { say, yellow } from "../output/terminal.ts";
import { UserError, mib } from "../output/ui.ts";

const MIB = 1024 * 1024;

/** For `catch`: what is wrong with an image is the customer's to know. */
export const inWords = (error: unknown): never => {
  throw error instanceof OciError ? new UserError(error.message) : error;
};

/** As `inWords`, for what is asked of a registry; a file or folder of that name here may have been meant. */
export const inWordsOf =
  (reference: string) =>
  async (error: unknown): Promise<never> => {
    const here = error instanceof OciError && !isOnThisMachine(reference) ? await stat(reference).catch(() => null) : null;
    if (here === null) return inWords(error);
    const [what, way] = here.isDirectory() ? ["folder", "oci"] : ["file", "archive"];
    const said = error instanceof Error ? error.message : "";
    throw new UserError(
      `${said}\n  ${reference} is a ${what} here, too: for an image in it write --image ${shellWord(`${way}:${reference}`)}`,
    );
  };

/** `disk`: MiB that were ordered for it. */
export async function lookFirst(url: string, disk: number | null, quiet: boolean): Promise<void> {
  if (!URL.canParse(url)) throw new UserError(`${url} is no address`);
  const { onWait } = quiet ? { onWait() {} } : fetching();
  const found = await lookAtAddress(url, onWait).catch(inWords);
  if (!found.reached && !quiet) say(yellow(`         ${found.why} from here; whether its server reaches it, it will say`));
  if (found.reached && found.bytes !== null && disk !== null && found.bytes > disk * MIB)
    throw new UserError(`the image at that address is ${mib(Math.ceil(found.bytes / MIB))}, larger than the disk: order more with --disk`);
}
