/** What customers may leave on an owner's disk, and what goes first. */
import { expect, it } from "vitest";
import { roomProblem, type Kept, type RoomRules } from "./kept-room.ts";

const GIB = 1024 ** 3;

/**
 * A disk with what is kept on it: `lease customer GiB file`, oldest first. One that ends with `!` may still be doubted, one that ends with
 * `?` is kept only to be quicker; several may have one file.
 */
function disk(...words: string[]) {
  let cached = 0;
  const gone: string[] = [];
  let free = 2 * GIB;
  const kept = words.map((word, i): Kept => {
    const [lease = "", customer = "", size = "", file] = word.split(" ");
    const bytes = Number.parseInt(size, 10) * GIB;
    const letGo = async (): Promise<boolean> => {
      if (size.endsWith("!")) return false;
      gone.push(lease);
      free += bytes;
      return true;
    };
    const takes = file === undefined ? { bytes, shared: new Map() } : { bytes: 0, shared: new Map([[file, bytes]]) };
    return { lease, customer, ...takes, overAt: i, isSpare: size.endsWith("?"), letGo };
  });
  const rules: RoomRules = {
    keptBytesMax: 10 * GIB,
    keptBytesOfOneMax: 4 * GIB,
    leftFreeBytes: GIB,
    freeBytes: async () => free,
    letGoOfCaches: async () => void ([free, cached] = [free + cached, 0]),
  };
  return {
    gone,
    for: (customer: string) => roomProblem(rules, [...kept].reverse(), customer),
    fill: (bytes: number, inCaches = 0) => ([free, cached] = [bytes, inCaches]),
  };
}

it("keeps what is within bounds", async () => {
  const owners = disk("a one 2", "b one 2", "c two 4", "d three 2");
  expect(await owners.for("one")).toBeNull();
  expect(owners.gone).toEqual([]);
});

it("lets go of a customer's oldest first where that customer's are too much, and of nobody else's", async () => {
  const owners = disk("x two 4", "a one 2", "b one 2", "c one 1");
  expect(await owners.for("one")).toBeNull();
  expect(owners.gone).toEqual(["a"]);
});

it("lets go of the oldest first where all together are too much", async () => {
  const owners = disk("a one 4", "b two 4", "c three 4", "d three 0");
  expect(await owners.for("four")).toBeNull();
  expect(owners.gone).toEqual(["a"]);
});

it("keeps what may still be doubted, and refuses a customer whose own that is too much; others are served", async () => {
  const owners = disk("a one 3!", "b one 1", "c one 2!");
  expect(await owners.for("one")).toEqual({
    why: "5 GiB are kept for its customer (disk.kept_customer_gib) as long as they may be asked for",
    isCustomers: true,
  });
  expect(owners.gone).toEqual(["b"]);
  expect(await owners.for("two")).toBeNull();
});

it("refuses everybody where what may be doubted is too much in all", async () => {
  expect(await disk("a one 6!", "b two 6!").for("three")).toMatchObject({
    why: expect.stringContaining("12 GiB are kept of ended leases (disk.kept_gib)"),
    isCustomers: false,
  });
});

it("lets go of caches before anything that somebody may ask for, where the disk is full", async () => {
  const owners = disk("a one 2", "b two 1");
  owners.fill(0, GIB);
  expect(await owners.for("three")).toBeNull();
  expect(owners.gone).toEqual([]);
  owners.fill(0, GIB / 2);
  expect(await owners.for("three")).toBeNull();
  expect(owners.gone).toEqual(["a", "b"]);
});

it("lets go of everything it may where the disk is full, and says so where that does not help", async () => {
  const owners = disk("a one 2", "b two 1!");
  owners.fill(0);
  expect(await owners.for("three")).toBeNull();
  expect(owners.gone).toEqual(["a"]);
  const full = disk("b two 1!");
  full.fill(GIB / 2);
  const why = "the disk is full: 0.5 GiB are free, 1 GiB are to stay so (disk.left_free_gib)";
  expect(await full.for("three")).toEqual({ why, isCustomers: false });
});

it("lets go of what is only to be quicker before anything else, however new it is", async () => {
  const owners = disk("a one 2", "b two 4", "c one 1?", "d three 4", "e two 1?");
  expect(await owners.for("three")).toBeNull();
  expect(owners.gone).toEqual(["c", "e"]);
  const ofOne = disk("a one 2", "b one 1?", "c two 1?", "d one 2");
  expect(await ofOne.for("one")).toBeNull();
  expect(ofOne.gone).toEqual(["b"]);
});

it("lets go of no more of it than the disk needs, and of caches only where it has none left", async () => {
  const owners = disk("a one 1", "b one 1?", "c two 1?");
  owners.fill(0, GIB);
  expect(await owners.for("three")).toBeNull();
  expect(owners.gone).toEqual(["b"]);
  const more = disk("a one 1", "b one 0?");
  more.fill(0, GIB);
  expect(await more.for("three")).toBeNull();
  expect(more.gone).toEqual(["b"]);
});

it("counts a file once that several have, and until the last of them is gone", async () => {
  const owners = disk("a one 4 f", "b one 4 f", "c one 4? f");
  expect(await owners.for("one")).toBeNull();
  expect(owners.gone).toEqual([]);
  const doubted = disk("a one 3! f", "b one 3! f", "c one 3? f", "d one 2?");
  expect(await doubted.for("one")).toBeNull();
  expect(doubted.gone).toEqual(["c", "d"]);
});
