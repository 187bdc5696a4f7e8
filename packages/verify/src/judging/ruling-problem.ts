/**
 * Whether a referee's result is one that may be heard about a lease. Who controls the inputs: the broker (who it says judges), the
 * referee.
 */
import type { Lease } from "@xenoservers/market";
import { serverIdOf, verifySigner, type SignedDocument } from "@xenoservers/protocol";
import type { FactWorld } from "../facts/facts.ts";

/** Why the referee's result is not one that may decide over this lease; null when it is. */
export function rulingProblem(
  { crypto, market, keyOf }: FactWorld,
  { referee, server, owner }: { referee: string; server: string; owner: string },
  ruling: SignedDocument<"result">,
  lease: Pick<Lease, "server" | "owner" | "customer">,
): string | null {
  const key = keyOf(ruling.keyid);
  const checks: readonly (readonly [right: boolean, why: string])[] = [
    [server === lease.server && owner === lease.owner, "the verdict is about another server"],
    [serverIdOf(crypto, ruling.keyid) === referee && ruling.payload.server === referee, "the ruling is not signed by the referee it names"],
    [ruling.payload.origin === market.origin, "the ruling is of another market"],
    [
      referee !== lease.server && key?.party !== lease.owner && key?.party !== lease.customer,
      "nobody judges itself: the referee is a party's own",
    ],
    [key === null || verifySigner(ruling, { crypto, market, key, at: 0 }).ok, "the referee's key is no server's"],
  ];
  return checks.find(([right]) => !right)?.[1] ?? null;
}
