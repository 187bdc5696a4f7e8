/** Two servers of one owner on the fake market, the first of which runs a lease's guest: on a simulated clock and network. */
import { channelKeyPair } from "@xenoservers/protocol/channel";
import type { Pipe, Timers } from "@xenoservers/protocol/link";
import { createSigner } from "@xenoservers/protocol/node";
import type { GuestDriver } from "../drivers/driver.ts";
import type { ServerOptions } from "../server.ts";
import { FakeCustomer, fakeJob } from "./fake-customer.ts";
import { FakeMarket } from "./fake-market.ts";
import { TestServer } from "./test-server.ts";

const HOUR_MS = 3_600_000;
/** Of the simulated driver's guests, under the name of one whose leases move. */
const asMachine = (driver: GuestDriver): GuestDriver => ({ ...driver, name: "qemu" });

/** How a move went: null where the lease is there; else why not, in words. */
export interface Went {
  why?: string | null;
}

type Order = Omit<Parameters<FakeMarket["place"]>[0], "jobHash">;

/** Of the test itself: a clock that goes when it is told to, and pipes that can be cut. */
interface Simulated {
  clock: Timers & { runUntil(until: number, condition?: () => boolean): Promise<void> };
  network: { readonly pipes: Iterable<{ cut(): void }>; pair(name: string): readonly [Pipe, Pipe] };
}

interface Given {
  order?: Order;
  second?: Partial<ServerOptions>;
  wrap?: (driver: GuestDriver) => GuestDriver;
}

export type TwoServers = Awaited<ReturnType<typeof twoServers>>;

/** The guest runs for 100 s, prints "hello" and ends with 3. */
export async function twoServers(
  { clock, network }: Simulated,
  { order = {}, second: options = {}, wrap = (driver) => driver }: Given = {},
) {
  const market = new FakeMarket(clock);
  const first = new TestServer(market, {}, asMachine);
  const signer = createSigner(new Uint8Array(32).fill(8));
  const channelKey = channelKeyPair(new Uint8Array(32).fill(10));
  const second = new TestServer(market, { signer, channelKey, connect: market.connectAs("second"), ...options }, (driver) =>
    wrap(asMachine(driver)),
  );
  const lines = (): string => [first, second].flatMap(({ log }) => log.map((line) => JSON.stringify(line))).join("\n");

  async function until(condition: () => boolean, withinMs = HOUR_MS): Promise<void> {
    await clock.runUntil(clock.now() + withinMs, condition);
    if (!condition()) throw new Error(`never came about: ${condition}\n${lines()}`);
  }
  const offers = (): string[] => market.received.flatMap((each) => (each.kind === "offer" ? [each.payload.server] : []));

  await first.server.start();
  await until(() => offers().length === 1);
  const job = fakeJob(["run", 100_000, 3, "hello"]);
  const lease = market.place({ jobHash: job.jobHash, driver: "qemu", terms: "by-interval", durationMsMax: 200_000, ...order });
  const customer = new FakeCustomer(market, lease, job);
  await until(() => first.stage(lease) !== undefined);
  void customer.attach();
  await until(() => first.stage(lease) === "running");
  market.owner.grants.push(market.grant(market.owner, signer.publicKey, "server"));
  await second.server.start();
  await until(() => offers().includes(second.server.id));
  await clock.runUntil(clock.now() + 15_000);

  /** `between`: stands in the pipe of whoever gives. */
  function moved(between: (pipe: Pipe) => Pipe = (pipe) => pipe, [from, to] = [first, second], server = to.server.id): Went {
    const [near, far] = network.pair("second");
    to.server.moves.answer(far);
    const went: Went = {};
    from.server.moves.give(lease, server, between(near)).then(
      () => (went.why = null),
      (error: Error) => (went.why = error.message),
    );
    return went;
  }

  /** How it went in the end. */
  async function hasMoved(...asked: Parameters<typeof moved>): Promise<string | null> {
    const went = moved(...asked);
    await until(() => went.why !== undefined);
    return went.why ?? null;
  }
  const ran = (of: TestServer): number => of.sim.ran.get(lease) ?? 0;
  return { clock, network, market, first, second, customer, lease, lines, until, moved, hasMoved, ran };
}
