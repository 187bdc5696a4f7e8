/** What is said where a lease ends while a part of its machine is open. Who controls the inputs: server and broker (facts). */
import type { Held } from "./hold.ts";

/** Resolves in words: how the lease ended, or why no more is heard of it. Whoever leaves by himself is told nothing. */
export const leaseOver = ({ session }: Pick<Held, "session">): Promise<string> =>
  session.settled().then(
    ({ end }) => `the lease has ended: ${end?.reason ?? "unknown"}`,
    (error: Error) => error.message,
  );
