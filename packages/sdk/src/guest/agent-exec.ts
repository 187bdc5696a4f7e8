/** A program in a guest that has nothing but its agent: no input, and its output when it has ended. */
import { fromBase64 } from "@xenoservers/protocol";
import * as z from "zod/mini";
import type { MarketClient } from "../client.ts";
import { askAgent, type AgentSession } from "./ask-agent.ts";

const POLL_MS = 100;
const SIGNALLED = 128;
const zStarted = z.object({ pid: z.int() });
const zStatus = z.object({
  exited: z.boolean(),
  exitcode: z.optional(z.int()),
  signal: z.optional(z.int()),
  "out-data": z.optional(z.string()),
  "err-data": z.optional(z.string()),
  "out-truncated": z.optional(z.boolean()),
});

const decoded = (text: string | undefined): Uint8Array => fromBase64(text ?? "") ?? new Uint8Array();

interface AgentRan {
  exitCode: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
  /** At what the guest agent keeps. */
  isCut: boolean;
}

export async function agentExec(
  { client, session }: { client: Pick<MarketClient, "sleep">; session: AgentSession },
  [program, ...args]: readonly string[],
): Promise<AgentRan> {
  const { pid } = zStarted.parse(await askAgent(session, "guest-exec", { path: program, arg: args, "capture-output": true }));
  for (;;) {
    const status = zStatus.parse(await askAgent(session, "guest-exec-status", { pid }));
    if (status.exited)
      return {
        exitCode: (status.exitcode ?? SIGNALLED + (status.signal ?? 0)) & 255,
        stdout: decoded(status["out-data"]),
        stderr: decoded(status["err-data"]),
        isCut: status["out-truncated"] ?? false,
      };
    await client.sleep(POLL_MS);
  }
}
