/** How a lease that is followed here comes to its end, for whoever needs nothing of it before. Who controls the inputs: broker, server. */
import type { LeaseView } from "@xenoservers/protocol";
import { GivenUpError, MarketError, NotStartedError, StalledError } from "../errors.ts";
import type { LeaseSession } from "./lease-session.ts";

/** Its lease's end in the books. Throws a MarketError. */
export async function endOf(session: LeaseSession): Promise<LeaseView> {
  const stalled = (cause: unknown): never => {
    throw new StalledError(cause instanceof Error ? cause.message : String(cause), { cause });
  };
  const ended = await Promise.race([session.settled().catch(stalled), session.failed]);
  if (!(ended instanceof Error)) return ended;
  if (ended instanceof MarketError) throw ended;
  if (session.left === "unheard") throw new GivenUpError(session.lease, session.left, ended);
  throw new NotStartedError(ended.message, { cause: ended });
}
