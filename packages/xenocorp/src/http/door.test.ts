import { expect, it } from "vitest";
import { Door } from "./door.ts";
import { Places } from "./places.ts";
import { TokenBucket, TokenBuckets } from "./token-bucket.ts";

const clock = { at: 0, now: () => clock.at };

it("tokens come back with time; what came already is paid on credit, and says how long to wait", () => {
  const bucket = new TokenBucket(10, 20, clock);
  expect([bucket.take(20), bucket.take(1)]).toEqual([true, false]);
  bucket.charge(5);
  expect(bucket.owedMs()).toBe(500);
  clock.at += 500;
  expect([bucket.take(0), bucket.owedMs()]).toEqual([true, 0]);
  bucket.charge(1);
  expect(bucket.owedMs()).toBe(100);
  clock.at += 60_000;
  expect([bucket.take(20), bucket.take(1)]).toEqual([true, false]);
});

it("forgets whoever was not seen for longest, and nobody else", () => {
  const buckets = new TokenBuckets(2, () => new TokenBucket(1, 1, clock));
  const first = buckets.of("a");
  buckets.of("b");
  expect(buckets.of("a")).toBe(first);
  buckets.of("c");
  expect(buckets.of("a")).toBe(first);
});

it("places are given back once, and none is taken where one of several is missing", () => {
  const places = new Places(3, 2);
  const [one, two] = [places.take("a"), places.take("a")];
  expect([places.take("a"), places.taken]).toEqual([null, 2]);
  expect([places.take("b") !== null, places.take("c")]).toEqual([true, null]);
  one?.();
  one?.();
  two?.();
  expect(places.taken).toBe(1);
  const door = new Door(clock, { places: { partyStreams: { max: 1, perHolder: 1 } } });
  const streams = [["addressStreams", "x"] as const, ["partyStreams", "p"] as const];
  const leave = door.takeAll(streams);
  for (let i = 0; i < 1_000; i++) expect(door.takeAll(streams)).toBeNull();
  leave?.();
  expect(door.takeAll(streams)).not.toBeNull();
});

it("an address that was refused has its tokens again later; another's are its own", () => {
  const door = new Door(clock, { requestsPerSecond: 2 });
  expect(Array.from({ length: 5 }, () => door.admits("a"))).toEqual([true, true, true, true, false]);
  expect(door.admits("b")).toBe(true);
  clock.at += 500;
  expect([door.admits("a"), door.admits("a")]).toEqual([true, false]);
});
