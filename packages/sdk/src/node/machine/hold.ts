/** Whether a lease runs a machine that can be held: its console, ports, programs and files. */
import { DRIVERS, holdsCapacity } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { BoundOrder } from "../../purchase-order.ts";
import { shortId } from "../../words.ts";

/** Beyond any output: nothing of it is sent. */
export const NO_OUTPUT = { stdout: 64 * 1024 ** 3, stderr: 64 * 1024 ** 3 } as const;

/** In words; null: it does. */
export function machineProblem({ id, state }: LeaseView, { order }: BoundOrder): string | null {
  const { can, guest } = DRIVERS[order.payload.driver];
  if (!holdsCapacity(state)) return `lease ${shortId(id)} has ended`;
  return can.console ? null : `lease ${shortId(id)} runs ${guest}, not a machine`;
}
