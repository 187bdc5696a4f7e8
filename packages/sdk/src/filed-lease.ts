/** Which lease something is about that was signed here. Who controls the inputs: the broker (which lease an order became). */
import { zId } from "@xenoservers/protocol";
import type { Filed } from "./client.ts";

/** An order stands with the lease that it became; with replicas, the first one. Null: it is about no lease. */
export function leaseOfFiled({ document: { kind, payload }, answer }: Filed): string | null {
  const named = kind === "order" ? answer["lease"] : "lease" in payload ? payload.lease : null;
  return zId.safeParse(named).data ?? null;
}
