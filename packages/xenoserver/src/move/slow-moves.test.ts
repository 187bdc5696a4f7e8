/** Moves that take their time: an end that works is waited for, what stands still is not billed, and what its customer paused stays so. */
import { Network, Random, SimClock } from "@xenoservers/testkit";
import { beforeEach, expect, it } from "vitest";
import type { Carrying, GuestDriver, RunningGuest } from "../drivers/driver.ts";
import { TIMINGS } from "../testing/fake-market.ts";
import { twoServers, type TwoServers } from "../testing/two-servers.ts";

let clock: SimClock;
let network: Network;

beforeEach(() => {
  const random = new Random(1);
  clock = new SimClock(1_800_000_000_000, random);
  network = new Network(clock, random);
});

const passing = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));

/** Guests that arrive are begun in that way. */
const beginning =
  (begun: (begin: () => Promise<RunningGuest>) => Promise<RunningGuest>) =>
  (driver: GuestDriver): GuestDriver => ({
    ...driver,
    moves: {
      ...driver.moves!,
      arrive: (job) => driver.moves!.arrive(job),
      async prepare(job, arrived) {
        const prepared = await driver.moves!.prepare(job, arrived);
        return { ...prepared, begin: () => begun(() => prepared.begin()) };
      },
    },
  });

/** Guests that came are carried on in that way. */
const carried = (change: (carrying: Carrying, guest: RunningGuest) => Carrying) =>
  beginning(async (begin) => {
    const guest = await begin();
    const carry = async (): Promise<Carrying> => change(await guest.carry!(), guest);
    return Object.assign(Object.create(guest) as RunningGuest, { carry });
  });

it("goes where saving it takes longer than a lease's grace", async () => {
  const wrap = carried((carrying) => ({
    running: carrying.running,
    dispose: () => carrying.dispose(),
    async rest() {
      await passing(TIMINGS.graceMs + 5_000);
      return carrying.rest();
    },
  }));
  const two = await twoServers({ clock, network }, { wrap });
  expect(await two.hasMoved()).toBeNull();
  expect(await two.hasMoved(undefined, [two.second, two.first])).toBeNull();
});

it("is claimed for to the end while the rest is carried, and as often as ever where that takes long", async () => {
  const interval = TIMINGS.claimIntervalMs;
  let two: TwoServers | null = null;
  const seen = { unclaimedMs: Number.NaN, claims: 0 };
  const claims = (): number => two!.market.received.filter(({ kind }) => kind === "claim").length;
  const wrap = carried((carrying) => ({
    running: carrying.running,
    dispose: () => carrying.dispose(),
    async rest() {
      await passing(interval / 10);
      const { lastClaim } = two!.market.lease(two!.lease);
      seen.unclaimedMs = two!.ran(two!.first) + two!.ran(two!.second) - (lastClaim?.usedMs ?? 0);
      const before = claims();
      await passing(3 * interval);
      seen.claims = claims() - before;
      return carrying.rest();
    },
  }));
  two = await twoServers({ clock, network }, { wrap });
  expect(await two.hasMoved()).toBeNull();
  // no claim is due just then
  await clock.runUntil(clock.now() + 1.5 * interval);
  expect(await two.hasMoved(undefined, [two.second, two.first])).toBeNull();
  expect(seen.unclaimedMs).toBeLessThanOrEqual(0);
  expect(seen.claims).toBeGreaterThanOrEqual(2);
});

it("is not paused where what is carried of it has it stand still by itself", async () => {
  const paused: string[] = [];
  const wrap = carried((carrying, guest) => {
    const pause = guest.pause.bind(guest);
    guest.pause = async () => void paused.push("by the lease");
    return {
      running: carrying.running,
      standsByItself: true,
      dispose: () => carrying.dispose(),
      async rest() {
        paused.push("as it was saved");
        await pause();
        return carrying.rest();
      },
    };
  });
  const two = await twoServers({ clock, network }, { wrap });
  expect(await two.hasMoved()).toBeNull();
  expect(await two.hasMoved(undefined, [two.second, two.first])).toBeNull();
  expect(paused).toEqual(["as it was saved"]);
  await two.until(() => two.market.lease(two.lease).state === "settled");
  expect(two.market.lease(two.lease).end?.billableMs).toBe(100_000);
});

it("is not billed from when it stands still, though it is still sent", async () => {
  const wrap = carried((carrying, guest) => {
    let still = (): void => {};
    return {
      onStill: (told) => (still = told),
      rest: () => carrying.rest(),
      dispose: () => carrying.dispose(),
      running: [
        ...carrying.running,
        {
          name: "slow",
          async *pieces() {
            await guest.pause();
            still();
            await passing(20_000);
            yield* [];
          },
        },
      ],
    };
  });
  const two = await twoServers({ clock, network }, { wrap });
  expect(await two.hasMoved()).toBeNull();
  expect(await two.hasMoved(undefined, [two.second, two.first])).toBeNull();
  await two.until(() => two.market.lease(two.lease).state === "settled");
  expect(two.ran(two.first) + two.ran(two.second)).toBe(100_000);
  expect(two.market.lease(two.lease).end?.billableMs).toBe(100_000);
});

it("stays paused by its customer where the server that takes it on is killed just then", async () => {
  let begins = 0;
  const wrap = beginning(() => {
    begins++;
    return new Promise(() => {}); // killed before it has begun
  });
  const { first, second, lease, market, moved, ran, until } = await twoServers({ clock, network }, { wrap });
  const record = (await first.record(lease))!;
  await first.server.close();
  await first.journal.save({ ...record, pausedByCustomer: true });
  await first.restart();
  await until(() => first.stage(lease) === "running");
  await clock.runUntil(clock.now() + 15_000);
  moved();
  await until(() => begins === 1);
  const restarted = second.restart();
  await clock.runUntil(clock.now() + 1_000);
  await restarted;
  await until(() => second.stage(lease) === "running");
  const before = ran(second);
  await clock.runUntil(clock.now() + 20_000);
  expect(ran(second)).toBe(before);
  expect(market.lease(lease).state).toBe("open");
});
