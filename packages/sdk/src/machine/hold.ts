/** A lease's machine that is held here: its console, ports, programs and files. Who controls the inputs: the broker (the lease). */
import { DRIVERS, holdsCapacity } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { MarketClient } from "../client.ts";
import { InputError } from "../errors.ts";
import type { Opened } from "../facade/shared-link.ts";
import type { BoundOrder } from "../purchase-order.ts";
import type { SessionHandlers } from "../session/lease-session.ts";
import { shortId } from "../words.ts";
import type { HeldMachine } from "./fork.ts";

/** Beyond any output: nothing of it is sent. */
export const NO_OUTPUT = { stdout: 64 * 1024 ** 3, stderr: 64 * 1024 ** 3 } as const;

/** In words; null: it does. */
export function machineProblem({ id, state }: LeaseView, { order }: BoundOrder): string | null {
  const { can, guest } = DRIVERS[order.payload.driver];
  if (!holdsCapacity(state)) return `lease ${shortId(id)} has ended`;
  return can.console ? null : `lease ${shortId(id)} runs ${guest}, not a machine`;
}

type Open = (handlers: SessionHandlers, from: typeof NO_OUTPUT) => Opened;

/** Follows it for what is asked of it, and not for its output. Throws InputError where it is none, or has ended. */
export function holdMachine(client: MarketClient, lease: LeaseView, bound: BoundOrder, open: Open): { held: HeldMachine; close(): void } {
  const problem = machineProblem(lease, bound);
  if (problem !== null) throw new InputError(problem);
  const { session, close } = open({}, NO_OUTPUT);
  return { held: { client, bound, session }, close };
}
