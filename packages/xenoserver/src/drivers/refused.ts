/**
 * The customer's bytes are at fault: what a driver throws when a guest cannot be made of them, and the reason under which that ends a
 * lease. The one place where causes become reasons; everything else that goes wrong while a guest is made is the host's.
 */
import type { EndReason } from "@xenoservers/market";

/** The message is for the customer. */
export class RefusedWork extends Error {
  override name = "RefusedWork";
  readonly reason: Extract<EndReason, "job-refused" | "image-refused" | "image-unfetched" | "vm-crashed">;

  constructor(reason: RefusedWork["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The job cannot be read, or does not fit what was ordered. */
export class RefusedJob extends RefusedWork {
  override name = "RefusedJob";
  constructor(message: string) {
    super("job-refused", message);
  }
}

/** Why a guest that could not be made ends its lease, and what its customer is told of it. */
export function endOfRefused(error: unknown): { reason: RefusedWork["reason"] | "server-failed"; detail: string } {
  if (error instanceof RefusedWork) return { reason: error.reason, detail: error.message };
  return { reason: "server-failed", detail: "the guest did not start" };
}
