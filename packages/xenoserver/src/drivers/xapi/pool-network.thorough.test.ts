/** Machines of a pool with a network card: only on the network that the owner named, each held to its own address. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import { seedFiles } from "../../../../../test/xapi/seed-script.ts";
import { addressRange } from "./address-range.ts";

let at: Bench;
beforeEach(async () => {
  at = await bench();
});
afterEach(() => at.close());

const LONG = "sleep 3600000";
const ASKS = { network: true, egress: "public" } as const;
const network = { network: "leases", addresses: addressRange("10.9.0.16-10.9.0.17/24")!, gateway: "10.9.0.1", dns: ["10.9.0.53"], mbit: 8 };
const cards = () => at.twin.db.all("vif").map(([, card]) => card);

async function problem(more: object, own: typeof network | null = network): Promise<string | null> {
  const { driver } = await at.open([], { network: own });
  const { work, po, order } = await at.job([LONG], more);
  return driver.problemWith(work, { po, order });
}

it("gives a card that is held to one address and one rate, and tells the machine's system of it", async () => {
  const { driver } = await at.open([], { network });
  expect(driver.capabilities.network).toBe(true);
  const guest = await (await driver.prepare(await at.job(["exit 3"], ASKS))).begin();
  const [card] = cards();
  expect(card).toMatchObject({ network: at.twin.network, locking_mode: "locked", ipv4_allowed: ["10.9.0.16"], ipv6_allowed: [] });
  expect(card).toMatchObject({ qos_algorithm_type: "ratelimit", qos_algorithm_params: { kbps: "1000" } });
  const seeds = [...at.twin.world.disks.values()].map((disk) => seedFiles(disk)).filter((files) => files.size > 0);
  expect([...seeds[0]!.keys()].sort()).toEqual(["meta-data", "network-config", "user-data"]);
  const told = seeds[0]!.get("network-config")!.toString();
  for (const part of [String(card!["MAC"]), "10.9.0.16/24", 'via: "10.9.0.1"', '"10.9.0.53"']) expect(told).toContain(part);
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 3 });
  await guest.dispose();
  expect(cards()).toEqual([]);
});

it("gives no address twice, says that none is left, and gives again what came back", async () => {
  const { driver } = await at.open([], { network });
  const both = await Promise.all([await at.job([LONG], ASKS), await at.job([LONG], ASKS)].map((job) => driver.prepare(job)));
  expect(
    cards()
      .flatMap((card) => card["ipv4_allowed"])
      .sort(),
  ).toEqual(["10.9.0.16", "10.9.0.17"]);
  await expect(driver.prepare(await at.job([LONG], ASKS))).rejects.toThrow("no address is left");
  await both[0]!.discard();
  await (await driver.prepare(await at.job([LONG], ASKS))).discard();
  expect(cards()).toHaveLength(1);
});

it("gives none to whoever did not ask", async () => {
  const { driver } = await at.open([], { network });
  await driver.prepare(await at.job([LONG]));
  expect(cards()).toEqual([]);
});

it.each([
  ["where the owner named none", ASKS, null, "no network card here"],
  ["for names alone", { network: true, egress: ["a.example"] }, network, "for --egress public alone"],
  ["to be connected to", { network: true, egress: "none" }, network, "nobody can connect to them"],
] as const)("refuses a card in words %s", async (_, more, own, why) => {
  expect(await problem(more, own)).toContain(why);
});

it("takes one that asks for it where the owner named it", async () => {
  expect(await problem(ASKS)).toBeNull();
});

it("keeps no machine with a card: what began with it would have its address", async () => {
  const { driver } = await at.open([], { network });
  const guest = await (await driver.prepare(await at.job([LONG], ASKS))).begin();
  await expect(guest.controls!.snapshot()).rejects.toThrow("would have its address");
  await guest.kill();
});

it("does not open a pool that has no such network, or two of that name", async () => {
  await expect(at.open([], { network: { ...network, network: "none" } })).rejects.toThrow("the pool has 0 networks");
  at.twin.db.add("network", { name_label: "leases" });
  await expect(at.open([], { network })).rejects.toThrow("the pool has 2 networks");
});
