/**
 * A lease as long as it is wanted: every claim signed by its server and receipted by a real broker on a clock that the test moves, the
 * broker's API on a port of this machine, and its customer's client.
 */
import type { AddressInfo } from "node:net";
import type { Payload } from "@xenoservers/protocol";
import { MarketClient, identityOf } from "@xenoservers/sdk";
import { World, type Server } from "../../packages/xenocorp/src/http/world.fixture.ts";
import { sequence } from "../../packages/xenocorp/src/log/sequencer.ts";

const CLAIM_MS = 10_000;
/** Between claims: a longer silence of the broker would be a gap. */
const HEARD_MS = [4_000, 3_000, 3_000];
const DAY_MS = 86_400_000;

export class LongLease {
  readonly world: World;
  readonly client: MarketClient;
  readonly lease: string;
  readonly server: Server;
  /** Of its customer's device, which reads it. */
  readonly seed: Uint8Array;
  #last: { id: string; sequence: number };

  private constructor(world: World, client: MarketClient, seed: Uint8Array, lease: string, server: Server, opening: string) {
    [this.world, this.client, this.seed, this.lease, this.server] = [world, client, seed, lease, server];
    this.#last = { id: opening, sequence: 0 };
  }

  static async open(): Promise<LongLease> {
    const world = new World();
    await world.start();
    await world.must(world.operator, "fee", { basisPoints: 0, effectiveAt: world.now, clientId: "00".repeat(16) });
    const customer = await world.party(10_000_000_000_000n);
    const owner = await world.party();
    const server = await world.server(owner, { maxLeaseMs: 365 * DAY_MS });
    const most = { durationMsMax: 300 * DAY_MS, budgetNanos: "1000000000000" };
    const { lease } = await world.lease(customer, server, most);
    await world.app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = world.app.server.address() as AddressInfo;
    const seed = new Uint8Array(32).fill(7);
    const identity = identityOf(seed, { party: customer.id, account: customer.account });
    await world.must(customer.root, "key-grant", world.grantOf(customer, identity.signer.publicKey, "device"));
    const client = new MarketClient(`http://127.0.0.1:${port}`, world.services.market, identity);
    return new LongLease(world, client, seed, lease, server, (await world.row(lease)).openingId ?? "");
  }

  /** So many claims, each receipted. `isLogged`: the log has all of them by then. */
  async claim(count: number, isLogged = true): Promise<void> {
    const { world, lease, server } = this;
    for (let i = 0; i < count; i++) {
      for (const ms of HEARD_MS) {
        world.now += ms;
        await world.desk.hear();
      }
      const { id, sequence: before } = this.#last;
      const claimed: Omit<Payload<"claim">, "origin" | "seen"> = {
        ...{ lease, incarnation: 1, sequence: before + 1, usedMs: (before + 1) * CLAIM_MS, egressBytes: 0, previous: id },
      };
      const signed = world.sign(server.key, "claim", claimed);
      const answer = await world.desk.submit(signed.envelope);
      if (!answer.ok) throw new Error(`claim ${before + 1}: ${JSON.stringify(answer)}`);
      this.#last = { id: signed.id, sequence: before + 1 };
      if (i % 200 === 199) await this.logged();
    }
    if (isLogged) await this.logged();
  }

  /** Its server hands in the result, and it is settled. */
  async settle(): Promise<void> {
    const { world, lease, server } = this;
    const usedMs = this.#last.sequence * CLAIM_MS;
    await world.must(server.key, "result", { ...(await world.resultOf(lease, server)), usedMs });
    await world.pass(60_000);
    await this.logged();
  }

  async logged(): Promise<void> {
    while ((await sequence(this.world.services)) > 0);
  }

  close(): Promise<void> {
    return this.world.close();
  }
}
