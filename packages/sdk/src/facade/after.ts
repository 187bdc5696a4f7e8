/**
 * A run that comes after others: this side waits until their leases are over, and orders nothing where one did not end well. Nobody but
 * this program waits. Who controls the inputs: whoever names the leases; the broker, how they stand.
 */
import { isTakenLater, type LeaseView } from "@xenoservers/protocol";
import type { MarketClient } from "../client.ts";
import { EarlierFailedError, InputError, RefusedError } from "../errors.ts";
import { shortId } from "../words.ts";
import { unlessOff } from "../calling-off.ts";

interface WhileAfter {
  signal?: AbortSignal;
  /** Called with those that are not over yet, first of all and whenever one more is. */
  onLeft?(leases: readonly string[]): void;
}

export const AFTER_MAX = 256;
const FIRST_LOOK_MS = 250;
const LOOK_MS_MAX = 5_000;

/** Null: it goes on. */
interface Ended {
  isWell: boolean;
  how: string;
}

function endedOf({ end }: LeaseView): Ended | null {
  if (!end) return null;
  const { reason, exitCode } = end;
  return { isWell: reason === "completed" && exitCode === 0, how: exitCode === null ? reason : `${reason}, exit code ${exitCode}` };
}

/** One that nobody took is followed to where its order was placed again. */
async function look(client: MarketClient, id: string, signal: AbortSignal | undefined): Promise<Ended | string> {
  const lease = await client.read("lease", { params: { id }, signal });
  const ended = endedOf(lease);
  if (ended || lease.state !== "lapsed") return ended ?? lease.id;
  const order = await client.read("order", { params: { id: lease.orderId }, signal });
  if (order.lease !== null && order.lease !== lease.id) return order.lease;
  return order.waiting ? lease.id : { isWell: false, how: "no server took it" };
}

/** As it stands, or as it stood: a broker that does not answer now is asked again. */
async function standing(client: MarketClient, id: string, signal: AbortSignal | undefined): Promise<Ended | string> {
  try {
    return await look(client, id, signal);
  } catch (error) {
    if (error instanceof RefusedError && isTakenLater(error.refusal.code)) return id;
    throw error;
  }
}

/** Resolves when all of them ended by themselves with exit code 0. Throws EarlierFailedError as soon as one did not; RefusedError. */
export async function untilEndedWell(client: MarketClient, leases: readonly string[], { signal, onLeft }: WhileAfter = {}): Promise<void> {
  if (leases.length > AFTER_MAX) throw new InputError(`after names at most ${AFTER_MAX} leases`);
  let left: readonly string[] = leases;
  for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LOOK_MS_MAX)) {
    const next: string[] = [];
    for (const id of left) {
      const stands = await unlessOff(signal, standing(client, id, signal));
      if (typeof stands === "string") next.push(stands);
      else if (!stands.isWell)
        throw new EarlierFailedError(id, `lease ${shortId(id)} did not end well (${stands.how}): nothing was ordered`);
    }
    if (next.length === 0) return;
    if (left === leases || next.length < left.length) onLeft?.(next);
    left = next;
    await unlessOff(signal, client.sleep(waitMs));
  }
}
