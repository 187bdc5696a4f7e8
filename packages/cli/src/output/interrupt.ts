/**
 * Ctrl-C, a polite end from outside, or a reader of the output that has gone, while a job is ordered or runs: an order whose job is not all
 * with its server yet is withdrawn, since it could not run without this side; of a running job a person is asked, and a script's runs on.
 * One that reads what is typed here is asked to end, as by `xeno lease stop`. With `--stop-on-exit` nothing runs on.
 */
import { isCancel, select } from "@clack/prompts";
import type { Job, Withdrawn } from "@xenoservers/sdk";
import { onReaderGone } from "./leave.ts";

/** How this side let go of the job. */
export type Left = "detach" | Withdrawn;

export const LEFT_SAYS: Readonly<Record<Left, string>> = {
  detach: "it runs on",
  withdrawn: "the order was withdrawn, and nothing is charged from now on",
  over: "the order was over already",
  unheard: "the broker has not confirmed that the order is withdrawn: it ends by itself when it expires",
};

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Node ignores SIGPIPE: that nobody reads the output any more comes as an error of the stream, and is heard as that signal is. */
export function onSignals(heard: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of SIGNALS) process.on(signal, heard);
  const unheard = onReaderGone(() => heard("SIGPIPE"));
  return () => {
    unheard();
    for (const signal of SIGNALS) process.removeListener(signal, heard);
  };
}

interface Standing {
  /** What is typed here is the program's. */
  isJoined(): boolean;
  /** Whoever ends this program ends the lease, also where the job runs. */
  stops: boolean;
}

export function onInterrupt(job: Pick<Job, "isThere" | "stop">, { isJoined, stops }: Standing): { left: Promise<Left>; done(): void } {
  const stop = (): Promise<Withdrawn> => job.stop({ reason: "interrupted" });
  const { promise: left, resolve: leave } = Promise.withResolvers<Left>();
  let asking = false;
  const handler = async (signal: NodeJS.Signals): Promise<void> => {
    if (asking) return leave("unheard");
    if (!stops && job.isThere && (signal !== "SIGINT" || !process.stdin.isTTY)) return leave("detach");
    asking = true;
    // the end that it asks for is heard as any
    const stopOrLeave = async (): Promise<void> => {
      if ((await stop()) === "unheard") leave("unheard");
    };
    if (!stops && job.isThere && isJoined()) return stopOrLeave();
    if (stops || !job.isThere) return leave(await stop());
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
    else if (choice === "stop") await stopOrLeave();
  };
  return { left, done: onSignals((signal) => void handler(signal)) };
}
