/**
 * A disk image at an address, looked at before a server is ordered that is to fetch it: nobody pays for what is not there. Who controls the
 * inputs: whoever answers there.
 */
import { systemTimers, type Timers } from "@xenoservers/protocol/link";
import { NoWay, ask } from "./asking.ts";
import { Mishap, Patience, type OnWait } from "./patience.ts";
import { OciError } from "./source.ts";

/** `bytes`: how large it is, where that is said. What cannot be reached from here may be from there: `why`, and nothing is known. */
type Looked = { reached: true; bytes: number | null } | { reached: false; why: string };

const sizeIn = (header: string | undefined): number | null => {
  const size = /(?:^|\/)(\d{1,15})$/.exec(header ?? "")?.[1];
  return size === undefined ? null : Number(size);
};

/** Throws OciError, in words, where another answer than the image is given. */
export async function lookAtAddress(url: string, onWait: OnWait, timers: Timers = systemTimers): Promise<Looked> {
  const at = new URL(url);
  const patience = new Patience(timers, onWait);
  const asker = { timers, mayGo: ({ protocol }: URL) => protocol === "http:" || protocol === "https:" };
  for (;;) {
    const answer = await ask(at, { headers: { range: "bytes=0-0" } }, asker).catch((error: unknown) => {
      if (error instanceof Mishap || error instanceof NoWay) return error;
      throw error;
    });
    if (answer instanceof Error) return { reached: false, why: answer.message };
    answer.drop();
    const { status, headers } = answer;
    if (status === 206) return { reached: true, bytes: sizeIn(headers["content-range"]) };
    if (status === 200) return { reached: true, bytes: sizeIn(headers["content-length"]) };
    try {
      answer.throwIfBusy();
    } catch (error) {
      await patience.after(error, `the image at ${at.host} cannot be had`);
      continue;
    }
    throw new OciError(`${at.host} answers ${status} for that image: nothing was ordered`);
  }
}
