/** A hold on a machine that runs: its console, ports and agent, through the lease's channel. */
import { NO_OUTPUT, machineProblem, type HeldMachine } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import { follow } from "../output/follow.ts";
import { UserError } from "../output/ui.ts";

export interface Held extends HeldMachine {
  close(): void;
}

/** Output is followed only where it is wanted. Throws UserError where no machine runs. */
export async function hold(id: string, onOutput: ((bytes: Uint8Array) => void) | null): Promise<Held> {
  const { client } = await openClient("read");
  const from = onOutput ? undefined : NO_OUTPUT;
  const { lease, bound, session, close } = await follow(client, id, onOutput ? { onOutput: (_, bytes) => onOutput(bytes) } : {}, from);
  const problem = machineProblem(lease, bound);
  if (problem === null) return { client, bound, session, close };
  close();
  throw new UserError(problem);
}
