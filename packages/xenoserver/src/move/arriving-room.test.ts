/** What may come of leases that move here: as much as was bought, and what the owner leaves of the disk for all of them. */
import { Network, Random, SimClock } from "@xenoservers/testkit";
import { describe, expect, it } from "vitest";
import type { Arriving, GuestDriver, RunningGuest } from "../drivers/driver.ts";
import { ROOM } from "../testing/test-server.ts";
import { twoServers } from "../testing/two-servers.ts";
import { ArrivingRoom } from "./arriving-room.ts";

const MIB = 1024 * 1024;
const PIECE = new Uint8Array(250 * 1024);

class Folder implements Arriving {
  bytes = 0;
  isThere = true;
  async add(_: string, bytes: Uint8Array): Promise<void> {
    this.bytes += bytes.length;
  }
  async discard(): Promise<void> {
    this.isThere = false;
  }
}

/** On a disk of which so much is free, and a part is to stay so. */
function room(freeMib: number, leftFreeMib: number) {
  const disk = { freeBytes: freeMib * MIB };
  const rules = { leftFreeBytes: leftFreeMib * MIB, freeBytes: async () => disk.freeBytes };
  return { disk, room: new ArrivingRoom(() => rules) };
}
const hold = (of: ArrivingRoom, kept: number, sent = kept, now = kept) => of.hold({ now, kept, sent }, async () => new Folder());

describe("room for what comes", () => {
  it("is counted for several together, and given back by those that came or do not come", async () => {
    const { room: of } = room(100, 10);
    const [one, two] = await Promise.allSettled([hold(of, 60), hold(of, 60)]);
    if (one.status !== "fulfilled") throw one.reason;
    expect(two).toMatchObject({
      reason: { message: expect.stringContaining("its disk has no room for it: it takes 60 MiB, 100 MiB are free") },
    });
    await hold(of, 30);
    await expect(hold(of, 1)).rejects.toThrow("90 MiB are for what comes already");
    await one.value.discard();
    (await hold(of, 60)).end();
    await hold(of, 60);
  });

  it("is held for what there is, and for more as more comes, up to what was bought", async () => {
    const { disk, room: of } = room(100, 10);
    const one = await hold(of, 1_000, 3_000, 50);
    await expect(hold(of, 1_000, 3_000, 41)).rejects.toThrow("50 MiB are for what comes already");
    const other = await hold(of, 30, 3_000, 1_000);
    const send = async (to: typeof one, pieces: number) => {
      for (let i = 0; i < pieces; i++) {
        await to.add("disk", PIECE);
        disk.freeBytes -= PIECE.length;
      }
    };
    await send(one, 200); // of 250 KiB each
    await expect(send(one, 40)).rejects.toThrow("its disk has no room for it: it takes 16 MiB more, 50 MiB are free, of which 10 MiB are");
    await other.discard();
    await send(one, 100);
    await expect(send(one, 1_000)).rejects.toThrow("its disk has no room for it: it takes 16 MiB more");
  });

  it("is no more than what was bought, by bytes, by files and by pieces", async () => {
    const { room: of } = room(1_000, 0);
    const bytes = await hold(of, 1, 2);
    for (let i = 0; i < 8; i++) await bytes.add("state", PIECE);
    await expect(bytes.add("state", PIECE)).rejects.toThrow("it sends more than belongs to what was ordered: over 2 MiB");
    const pieces = await hold(of, 1, 1);
    for (let i = 0; i < 2_048; i++) await pieces.add("state", new Uint8Array(0));
    await expect(pieces.add("state", new Uint8Array(0))).rejects.toThrow("more than belongs to what was ordered");
    const files = await hold(of, 1, 1);
    for (let i = 0; i < 256; i++) await files.add(`blob-${i}`, new Uint8Array(1));
    await expect(files.add("blob-256", new Uint8Array(1))).rejects.toThrow("it sends more than 256 files");
  });

  it("ends where others take what is to stay free, while it comes", async () => {
    const { disk, room: of } = room(1_000, 100);
    const one = await hold(of, 500);
    await one.add("state", PIECE);
    disk.freeBytes = 99 * MIB;
    const all = (async () => {
      for (let i = 0; i < 100; i++) await one.add("state", PIECE);
    })();
    await expect(all).rejects.toThrow("its disk is full: 99 MiB are free, 100 MiB are to stay so (disk.left_free_gib)");
  });
});

function simulated() {
  const random = new Random(1);
  const clock = new SimClock(1_800_000_000_000, random);
  return { clock, network: new Network(clock, random) };
}

/** Guests that came send that much more when they go on from here. */
const sending =
  (pieces: number) =>
  (driver: GuestDriver): GuestDriver => ({
    ...driver,
    moves: {
      ...driver.moves!,
      async prepare(job, arrived) {
        const prepared = await driver.moves!.prepare(job, arrived);
        const begin = async (): Promise<RunningGuest> => {
          const guest = await prepared.begin();
          const carry = async () => {
            const carrying = await guest.carry!();
            const [left] = await carrying.rest();
            const more = {
              name: left!.name,
              async *pieces() {
                for (let i = 0; i < pieces; i++) yield PIECE;
              },
            };
            return { ...carrying, running: [more], rest: async () => [left!], dispose: () => carrying.dispose() };
          };
          return Object.assign(Object.create(guest) as RunningGuest, { carry });
        };
        return { ...prepared, begin };
      },
    },
  });

describe("a server that hands over", () => {
  it("is told that it sends too much, the lease runs on there, and nothing stays behind", async () => {
    const two = await twoServers(simulated(), { wrap: sending(300) });
    const { first, second, lease, until } = two;
    expect(await two.hasMoved()).toBeNull();
    await until(() => first.stage(lease) === undefined);
    expect(await two.hasMoved(undefined, [second, first])).toBe(
      "the other server does not take it: it sends more than belongs to what was ordered: over 64 MiB",
    );
    expect([first.stage(lease), second.stage(lease)]).toEqual([undefined, "running"]);
    expect(await first.record(lease)).toBeUndefined();
    await until(() => two.market.lease(lease).state === "settled");
    expect(two.ran(first) + two.ran(second)).toBe(100_000);
  });

  it("is told that there is no room, before anything is carried", async () => {
    const two = await twoServers(simulated(), { second: { room: { ...ROOM, freeBytes: async () => 63 * MIB } } });
    expect(await two.hasMoved()).toContain(
      "the other server does not take it: its disk has no room for it: it takes 64 MiB, 63 MiB are free",
    );
    expect((await two.first.record(two.lease))?.guest?.stands).toBeNull();
  });
});
