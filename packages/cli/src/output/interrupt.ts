/**
 * Ctrl-C, or a polite end from outside, while a job is ordered or runs: an order whose job is not all with its server yet is withdrawn,
 * since it could not run without this side; of a running job a person is asked, and a script's runs on.
 */
import { isCancel, select } from "@clack/prompts";
import type { LeaseSession, MarketClient, Withdrawn } from "@xenoservers/sdk";

/** How this side let go of the job. */
export type Left = "detach" | Withdrawn;

export function onInterrupt(client: MarketClient, session: LeaseSession, isThere: () => boolean): { left: Promise<Left>; done(): void } {
  const { promise: left, resolve: leave } = Promise.withResolvers<Left>();
  let asking = false;
  const handler = async (signal: NodeJS.Signals): Promise<void> => {
    if (asking) return leave("unheard");
    if (isThere() && (signal === "SIGTERM" || !process.stdin.isTTY)) return leave("detach");
    asking = true;
    if (!isThere()) return leave(await session.withdraw("interrupted"));
    const choice = await select({
      message: "The job is running. What now?",
      options: [
        { value: "detach", label: "detach: it runs on" },
        { value: "stop", label: "stop it and keep what it wrote" },
        { value: "continue", label: "continue watching" },
      ],
    });
    asking = false;
    if (isCancel(choice) || choice === "detach") leave("detach");
    else if (choice === "stop") await client.act("stop", { lease: session.lease, party: client.identity.party, reason: "interrupted" });
  };
  const listener = (signal: NodeJS.Signals): void => void handler(signal);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, listener);
  return {
    left,
    done() {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.removeListener(signal, listener);
    },
  };
}
