/** An image on its way to this machine, told in lines that also read well in a file. Who controls the texts: the registry, in part. */
import type { ImageWatch } from "@xenoservers/sdk";
import { dim, say, yellow } from "./terminal.ts";
import { duration } from "./ui.ts";

const MB = 1_000_000;
/** What is larger is told about again and again. */
const TOLD_EACH_BYTES = 64 * MB;

const megabytes = (bytes: number): string => (bytes < MB ? `${Math.ceil(bytes / 1_000)} kB` : `${Math.round(bytes / MB)} MB`);

/** `tell`: where lines go. */
export function fetching(tell = (line: string): void => say(line)): ImageWatch {
  let under = 0;
  let told = 0;
  return {
    onLayer({ layer, of, bytes, size }) {
      if (layer !== under) {
        under = layer;
        told = 0;
        tell(dim(`         fetching layer ${layer} of ${of}, ${megabytes(size)}`));
      } else if (bytes < told) {
        told = 0;
        tell(yellow(`         layer ${layer} of ${of} begins anew`));
      }
      if (bytes - told < TOLD_EACH_BYTES || bytes === size) return;
      told = bytes;
      tell(dim(`         ${megabytes(bytes)} of ${megabytes(size)}`));
    },
    onWait(why, ms) {
      tell(yellow(`         ${why}; again in ${duration(ms)}`));
    },
    onNext(why) {
      tell(yellow(`         ${why}; the next place is asked`));
    },
  };
}
