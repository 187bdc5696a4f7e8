/** Ctrl-C while a job runs: a person is asked; a script's job runs on. */
import { isCancel, select } from "@clack/prompts";
import type { LeaseSession, MarketClient } from "@xenoservers/sdk";

export function onInterrupt(client: MarketClient, session: LeaseSession): { left: Promise<"detach">; done(): void } {
  const { promise: left, resolve: leave } = Promise.withResolvers<"detach">();
  let asking = false;
  const handler = async (): Promise<void> => {
    if (asking || !process.stdin.isTTY) return leave("detach");
    asking = true;
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
  const listener = (): void => void handler();
  process.on("SIGINT", listener);
  return { left, done: () => void process.removeListener("SIGINT", listener) };
}
