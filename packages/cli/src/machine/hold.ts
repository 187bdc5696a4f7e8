/** A hold on a machine that runs: its console, ports and agent, through the lease's channel. */
import { DRIVERS, holdsCapacity } from "@xenoservers/market";
import { type BoundOrder, type LeaseSession, type MarketClient, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import { follow } from "../output/follow.ts";
import { UserError } from "../output/ui.ts";

export interface Held {
  client: MarketClient;
  bound: BoundOrder;
  session: LeaseSession;
  close(): void;
}

/** Beyond any output: nothing of it is sent. */
const NO_OUTPUT = 64 * 1024 ** 3;

/** Output is followed only where it is wanted. Throws UserError where no machine runs. */
export async function hold(id: string, onOutput: ((bytes: Uint8Array) => void) | null): Promise<Held> {
  const { client } = await openClient("read");
  const from = onOutput ? undefined : { stdout: NO_OUTPUT, stderr: NO_OUTPUT };
  const { lease, bound, session, close } = await follow(client, id, onOutput ? { onOutput: (_, bytes) => onOutput(bytes) } : {}, from);
  const { can, guest } = DRIVERS[bound.order.payload.driver];
  const problem = !holdsCapacity(lease.state)
    ? `lease ${shortId(lease.id)} has ended`
    : can.console
      ? null
      : `lease ${shortId(lease.id)} runs ${guest}, not a machine`;
  if (problem === null) return { client, bound, session, close };
  close();
  throw new UserError(problem);
}

/** One request to the guest's own agent. */
export const askAgent = (session: LeaseSession, command: string, args: Record<string, unknown>): Promise<unknown> =>
  session.machine.ask("agent", { command, arguments: args });
