/**
 * One agent's session: whose key it spends by, what that may spend, and the leases that it started and that end with it. Who controls the
 * inputs: the agent (which calls come), the broker (what the key may do).
 */
import { LastWills, shortId, type Context, type MarketClient } from "@xenoservers/sdk";
import { isLive } from "@xenoservers/market";
import { openClient } from "../input/client.ts";
import { say } from "../output/terminal.ts";
import { UserError, money } from "../output/ui.ts";

/** Calls under way at once, and leases that run on behind them. */
export const CALLS_MAX = 16;
const LEASES_MAX = 256;

export interface AgentSession {
  client: MarketClient;
  context: Context;
  /** Files of this machine that a tool may read and write lie below it; null: none. */
  folder: string | null;
  /** What it spends by, in words. */
  bounds: string;
  leases: StartedLeases;
  /** The broker stops what it started where this program cannot. */
  wills: Pick<LastWills, "leave">;
}

/** Leases that run on while nobody follows them; all are stopped when the agent goes. */
export class StartedLeases {
  readonly #client: Pick<MarketClient, "read" | "act" | "identity">;
  readonly #ids = new Set<string>();

  constructor(client: Pick<MarketClient, "read" | "act" | "identity">) {
    this.#client = client;
  }

  /** Those that ended while nobody asked for them take no room. Throws UserError. */
  async assertRoom(): Promise<void> {
    if (this.#ids.size >= LEASES_MAX) await this.#look();
    if (this.#ids.size >= LEASES_MAX) throw new UserError(`${LEASES_MAX} leases of this session run already: stop some first`);
  }

  async #look(): Promise<void> {
    for (const id of this.#ids) {
      const { state } = await this.#client.read("lease", { params: { id } });
      if (!isLive(state)) this.#ids.delete(id);
    }
  }

  add(lease: string): void {
    this.#ids.add(lease);
  }

  over(lease: string): void {
    this.#ids.delete(lease);
  }

  /** Asks the broker to end all that still run. */
  async stopAll(): Promise<void> {
    const ids = [...this.#ids];
    this.#ids.clear();
    await Promise.all(ids.map((id) => this.#stop(id)));
  }

  async #stop(id: string): Promise<void> {
    try {
      const { state } = await this.#client.read("lease", { params: { id } });
      if (!isLive(state)) return;
      await this.#client.act("stop", { lease: id, party: this.#client.identity.party, reason: "the agent has gone" });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      say(`lease ${shortId(id)} could not be stopped (${why}): it ends at its own time limit, and costs at most its budget`);
    }
  }
}

/** Throws UserError where the key is a person's own, or may spend without a bound. */
export async function openAgentSession(folder: string | null): Promise<AgentSession> {
  const { client, context } = await openClient("read");
  if (context.role !== "ci")
    throw new UserError(
      `an agent spends by a token with a cap, never by the ${context.role} key of a person: make one with ` +
        "`xeno token create --max-per-day 2.50 --label agent`, and hand it over as XENO_TOKEN",
    );
  const { keys } = await client.read("whoami");
  const own = keys.find(({ key }) => key === client.identity.signer.publicKey);
  const spends = own?.scopes.includes("spend") ?? true;
  const cap = own?.maxSpendPerDayNanos ?? null;
  if (!own || (spends && cap === null))
    throw new UserError("this token may spend without a cap, which no agent may: make another with --max-per-day 2.50");
  const bounds = cap === null || !spends ? "nothing: it may only look" : `at most ${money(cap, context.currency)} a day`;
  return { client, context, folder, bounds, leases: new StartedLeases(client), wills: LastWills.of(client) };
}
