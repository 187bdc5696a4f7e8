/**
 * What a server had when a lease came, and did not ask for, may be forgotten at the word of the same customer's other lease before this
 * one begins. Who controls the inputs: the customer, which leases it has and what they forget.
 */
import { stat } from "node:fs/promises";
import { ifThere } from "@xenoservers/protocol/files";
import { RefusedJob } from "./refused.ts";

/** Throws RefusedJob where there is no such file: no server is to blame for what its customer had it forget. */
export async function assertStillThere(file: string): Promise<void> {
  if (await ifThere(stat(file))) return;
  throw new RefusedJob("what this server had of the job was forgotten meanwhile, as another lease of its customer wished: order it again");
}
