/** The guest's own agent, for guests that have nothing else. Who controls the answers: the guest. */
import type { LeaseSession } from "../session/lease-session.ts";

/** What follows the machine's lease. */
export type AgentSession = Pick<LeaseSession, "machine">;

export const askAgent = ({ machine }: AgentSession, command: string, args: Record<string, unknown>): Promise<unknown> =>
  machine.ask("agent", { command, arguments: args });
