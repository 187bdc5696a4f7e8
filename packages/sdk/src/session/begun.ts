/**
 * Waits until what a lease was ordered for runs. No clock of this side's bounds it: its server says that it runs, or the broker's deadlines
 * end it, as everybody has signed. Who controls the inputs: broker, server.
 */
import { NotStartedError } from "../errors.ts";
import { shortId } from "../words.ts";
import { endOf } from "./end-of.ts";
import type { LeaseSession } from "./lease-session.ts";

/** `running` resolves when its server says so. Throws a MarketError where it ends before it has begun. */
export async function begun(session: LeaseSession, running: Promise<null>): Promise<void> {
  const lease = await Promise.race([running, endOf(session)]);
  if (lease === null || (lease.end?.exitCode ?? null) !== null) return;
  throw new NotStartedError(`lease ${shortId(session.lease)} ended: ${lease.end?.reason ?? lease.state}`);
}
