import { readdir } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { DEFAULT_TIMINGS } from "@xenoservers/market";
import { describe, expect, it, vi } from "vitest";
import { scopesOf } from "../input/verbs/token.ts";
import { program } from "../program.ts";
import { ownVersion } from "../own-version.ts";
import { addressIn } from "./abuse-trace.ts";
import { beginsAt } from "./broker-fee.ts";
import { placeIn } from "./cp.ts";
import { portsIn } from "./forward.ts";
import { objectionTerms } from "./lease-object.ts";
import { accountsBelow } from "./wallet.ts";

const HOUR = 3_600_000;

describe("the list of verbs", () => {
  it("describes each, and declares none twice", async () => {
    const walk = (command: Awaited<ReturnType<typeof program>>, at: string): string[] =>
      command.commands.flatMap((each) => [`${at}${each.name()}`, ...walk(each, `${at}${each.name()} `)]);
    const names = walk(await program(), "");
    expect(new Set(names).size).toBe(names.length);
    for (const verb of ["token list", "token revoke", "lease result", "broker fee", "lease object"]) expect(names).toContain(verb);
  });

  it("loads the code of every verb", async () => {
    const files = (await readdir(import.meta.dirname)).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
    for (const file of files) await expect(import(pathToFileURL(path.join(import.meta.dirname, file)).href), file).resolves.toBeDefined();
  });
});

it("its version is an option too", async () => {
  const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    await expect((await program(["--version"])).parseAsync(["--version"], { from: "user" })).rejects.toMatchObject({
      code: "commander.version",
      exitCode: 0,
    });
    expect(written.mock.calls).toEqual([[`${ownVersion()}\n`]]);
  } finally {
    written.mockRestore();
  }
});

describe("token create", () => {
  const asked = (over: Partial<Parameters<typeof scopesOf>[0]>) =>
    scopesOf({ scopes: null, readOnly: false, spendOnly: false, maxPerDay: null, ...over });

  it("grants what was said, or what running jobs takes", () => {
    expect(asked({ maxPerDay: 1n })).toEqual(["spend", "control", "read"]);
    expect(asked({ readOnly: true })).toEqual(["read"]);
    expect(asked({ spendOnly: true, maxPerDay: 1n })).toEqual(["spend"]);
    expect(asked({ scopes: ["dispute", "read"] })).toEqual(["dispute", "read"]);
  });

  it.each<[string, Parameters<typeof asked>[0], RegExp]>([
    ["two presets", { readOnly: true, spendOnly: true }, /exclude each other/],
    ["spending without a bound", {}, /--max-per-day 2.50/],
    ["a bound of nothing", { readOnly: true, maxPerDay: 1n }, /for tokens that may spend/],
  ])("refuses %s", (_, over, why) => expect(() => asked(over)).toThrow(why));
});

describe("broker fee", () => {
  const market = { ...new PaperMarket(new Random(1)).info };
  const now = 1_800_000_000_000;

  it("begins at once where it falls, stays, or is the market's first", () => {
    expect(beginsAt(market, 250, null, now)).toBe(now);
    expect(beginsAt({ ...market, feeBasisPoints: 300 }, 250, null, now)).toBe(now);
    expect(beginsAt({ ...market, feeBasisPoints: 300 }, 300, now - 1, now)).toBe(now - 1);
  });

  it("gives a day's notice of a rise, and says from when on it can hold", () => {
    const rising = { ...market, feeBasisPoints: 100 };
    expect(beginsAt(rising, 250, null, now)).toBeGreaterThanOrEqual(now + 24 * HOUR);
    expect(beginsAt(rising, 250, now + 25 * HOUR, now)).toBe(now + 25 * HOUR);
    expect(() => beginsAt(rising, 250, now + 23 * HOUR, now)).toThrow(
      /a rise needs 24 hours of notice: --from 2027-01-16T08:02Z or later \(the fee is 1 % now\)/,
    );
  });
});

describe("lease object", () => {
  const market = new PaperMarket(new Random(2));
  const server = market.server(market.party("olga"));
  const po = market.purchaseOrder(market.order(market.party("carl")), server, market.offer(server));
  const settled = market.view(po, { state: "settled", end: market.end(po, { dueNanos: "1000" }), deadlineAt: market.now + 60_000 });

  it("says the deposit and when it is lost", () => {
    const [what, deposit] = objectionTerms(
      { lease: settled, depositNanos: 100n },
      0n,
      { ...market.info, timings: { ...DEFAULT_TIMINGS, ruleWithinMs: HOUR } },
      "credits",
    );
    expect(what).toContain("the settlement says 0.000001 credits, you say 0.0000 credits");
    expect(deposit).toMatch(
      /0\.0000001 credits: it comes back where the operator bears you out, or does not rule within 1 h 0 min; else the other side gets it/,
    );
  });
});

describe("places", () => {
  it("of a file in a machine, of ports, of an address", () => {
    expect(placeIn("abcd:/etc/hosts")).toEqual({ lease: "abcd", file: "/etc/hosts" });
    expect(placeIn("C:/x")).toBeNull();
    expect(portsIn("stdio:22")).toEqual({ local: "stdio", guest: 22 });
    for (const text of ["0:22", ":22"]) expect(portsIn(text)).toEqual({ local: 0, guest: 22 });
    expect(() => portsIn("2222")).toThrow(/LOCAL:GUEST/);
    expect(() => portsIn("2222:0")).toThrow(/from 1 to/);
    expect(() => portsIn("1:2:3")).toThrow(/LOCAL:GUEST/);
    expect(addressIn("[2001:db8::1]:443")).toEqual({ address: "2001:db8::1", port: 443 });
    expect(addressIn("203.0.113.7")).toEqual({ address: "203.0.113.7", port: null });
    expect(() => addressIn("somewhere")).toThrow(/is no address/);
  });

  it("an account and all below it", () => {
    const account = (id: string, parent: string | null) => ({ id, name: id, parent, limitNanos: null, spentNanos: "0" });
    const all = [account("root", null), account("a", "root"), account("b", "a"), account("c", "root")];
    expect(accountsBelow(all, all[1]!).map(({ id }) => id)).toEqual(["a", "b"]);
  });
});
