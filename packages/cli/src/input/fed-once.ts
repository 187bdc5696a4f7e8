/** What an image's program reads as it comes is there once. Who controls the input: whoever typed the words. */
import type { Work } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";
import type { RunInput } from "./verbs/run.ts";

/** A second program would read nothing, or what the first has left. Throws UserError. */
export function assertFedOnce({ isFed }: Pick<Work, "isFed">, { retries, replicas }: Pick<RunInput, "retries" | "replicas">): void {
  const option = retries !== null ? "--retries" : replicas > 1 ? "--replicas" : null;
  if (!isFed || option === null) return;
  throw new UserError(
    `${option} runs the image's program more than once, and what comes on standard input is there once: send none (--no-stdin), ` +
      "and give what it reads in a folder (--in)",
  );
}
