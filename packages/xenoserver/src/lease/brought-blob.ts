/**
 * A blob of a lease from where it is: with the lease, with what its customer brought before, or not here yet. What is right is kept for the
 * next lease, what was kept and is not right is let go of. Who controls the inputs: the customer, every byte, digest and size.
 */
import { rm, stat } from "node:fs/promises";
import { ifThere } from "@xenoservers/protocol/files";
import { openArriving, openWhole, type ArrivingBlob } from "./arriving-blob.ts";
import type { Bringer, KeptInputs } from "./kept-inputs.ts";

interface Brought {
  /** Where its lease has it. */
  file: string;
  bringer: Bringer;
  blob: { digest: string; size: number };
  /** For its customer's next lease. */
  keeps: boolean;
  /** What was kept is not what it was. */
  spoiled(): void;
}

/** `finished`: told whether it was right. */
const telling = (blob: ArrivingBlob, finished: (isRight: boolean) => Promise<void>): ArrivingBlob => ({
  get size() {
    return blob.size;
  },
  append: (bytes) => blob.append(bytes),
  async finish() {
    const isRight = await blob.finish();
    await finished(isRight);
    return isRight;
  },
  close: () => blob.close(),
});

export async function openBrought(kept: KeptInputs, { file, bringer, blob, keeps, spoiled }: Brought): Promise<ArrivingBlob> {
  const { digest, size } = blob;
  const isKept = !(await ifThere(stat(file))) && (await kept.takeUp(bringer, blob, file));
  const there = await ifThere(stat(file));
  const isWhole = there?.size === size;
  // others have it too: its bytes stay as they are
  if (there && !isWhole && there.nlink > 1) await rm(file);
  const arriving = isWhole ? openWhole(file, digest, size) : await openArriving(file, blob, () => kept.makeRoom());
  return telling(arriving, async (isRight) => {
    if (isRight && keeps && !isKept) await kept.keep(bringer, digest, file);
    if (isRight || !isWhole) return;
    await kept.forget(bringer, [digest]);
    spoiled();
  });
}
