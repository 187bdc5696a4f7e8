import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseRefusal, refuse, type Refusal } from "@xenoservers/protocol";
import { BrokenPurchaseOrder, GuestFileError, RefusedError, mib, saveContext, verifyKept } from "@xenoservers/sdk";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";

import { reportError } from "./report.ts";
import { EXIT } from "./exit.ts";
import { UserError, describeRefusal, duration, gigaFuel, money, when } from "./ui.ts";

describe("a refusal in words", () => {
  it.each<[Refusal, RegExp]>([
    [
      refuse("key_not_allowed", { kind: "order", role: "ci", scopes: "read", why: "the key was not granted the scope that this needs" }),
      /a document of kind order takes another key: the ci key of this context may only read\n.*xeno token create --scopes/,
    ],
    [
      refuse("key_not_allowed", { role: "ci", scopes: "spend control" }),
      /this takes another key: the ci key of this context may only spend, control/,
    ],
    [refuse("key_not_allowed", { kind: "key-grant", role: "device" }), /the device key of this context may not do it/],
    [
      refuse("key_not_allowed", { kind: "key-revoke", why: "the root key is replaced with `xeno key rotate`" }),
      /^key_not_allowed: [^\n]*\n {2}the root key is replaced with `xeno key rotate`\n {2}\(kind key-revoke\)$/,
    ],
    [
      refuse("busy", { excluded: { offline: 1 }, explanation: "offline excluded 1" }),
      /^busy: every server that could take it has no room now, or is away: wait for one \(`--wait`\)\n {2}offline excluded 1\n {2}offline: not connected now/,
    ],
    [
      refuse("no_match", { excluded: { emulated: 1, "region=eu": 2 }, explanation: "region=eu excluded 2, emulated excluded 1" }),
      /no server that is listed meets the conditions, however free it is\n {2}region=eu excluded 2, emulated excluded 1\n {2}emulated: has no KVM: --accel any takes [^\n]*$/,
    ],
    [refuse("no_match", { excluded: { capacity: 1 } }), /capacity: has not so much, even with nobody on it/],
    [refuse("busy", { excluded: { capacity: 1 } }), /capacity: has not so much free now: wait/],
    [refuse("no_match", { excluded: { toString: 1 }, explanation: "toString excluded 1" }), /it is\n {2}toString excluded 1$/],
    [refuse("wrong_state", { state: "final", why: "it has ended" }), /^wrong_state: the lease is in a state that does not allow this\n/],
    [
      refuse("no_referee", { why: "the referee cannot run this job now (no_match)" }),
      /nothing is frozen\n {2}the referee cannot run this job now/,
    ],
    [
      refuse("insufficient_funds", { missingNanos: "5000000" }),
      /does not hold enough; add credit or lower --budget\n {2}\(missing 0\.0050 credits\)/,
    ],
    [refuse("insufficient_funds", { requestId: "r-1" }), /does not hold enough[^(]*$/],
    [refuse("internal", { requestId: "r-1" }), /the broker failed.*\n {2}\(request r-1\)$/],
    [refuse("too_late", { windowEndsAt: 1_800_000_000_000 }), /\(windowEndsAt 2027-01-15 08:00:00Z\)/],
    [refuse("key_expired", { key: "abc", expiresAt: 1_800_000_000_000 }), /create a new one with `xeno token create`/],
  ])("%j", (refusal, says) => expect(describeRefusal(refusal).join("\n")).toMatch(says));
});

it("shows a broker's refusal whatever it put where a sum, a time or a word is", () => {
  const odd: unknown[] = [
    { toString: 1 },
    [],
    "x",
    "",
    "9".repeat(400),
    1e300,
    -0,
    8_640_000_000_000_001,
    null,
    true,
    { a: 1 },
    { a: "b" },
  ];
  for (const value of odd)
    for (const code of ["too_late", "key_not_allowed", "no_match", "toString", 5]) {
      const keys = ["windowEndsAt", "missingNanos", "why", "explanation", "kind", "role", "scopes", "__proto__"];
      const error = JSON.parse(JSON.stringify({ ...Object.fromEntries(keys.map((key) => [key, value])), code })) as Record<string, unknown>;
      const lines = describeRefusal(parseRefusal(error));
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.every((line) => typeof line === "string")).toBe(true);
    }
});

describe("numbers for people", () => {
  it("are short and exact", () => {
    expect([money("1"), money(2_500_000_000n, "EUR"), mib(512), mib(2_048)]).toEqual(["0.000000001 credits", "2.5000 EUR", "512M", "2G"]);
    expect([when(1_800_000_000_000), when(Number.MAX_SAFE_INTEGER)]).toEqual(["2027-01-15 08:00:00Z", "9007199254740991 ms"]);
    expect([duration(5), duration(1_500), duration(61_000), duration(3_660_000)]).toEqual(["5 ms", "1.5 s", "1 min 1 s", "1 h 1 min"]);
    expect([gigaFuel(5n), gigaFuel(5_500_000_000n), gigaFuel(10n ** 12n)]).toEqual(["5 fuel", "5.50 Gfuel", "1000 Gfuel"]);
  });
});

describe("an error", () => {
  let folder: string;
  let said: { stdout: string; stderr: string };
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-report-"));
    vi.stubEnv("XENO_HOME", folder);
    said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      vi.spyOn(process[stream], "write").mockImplementation((text) => {
        said[stream] += String(text);
        return true;
      });
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    await rm(folder, { recursive: true, force: true });
  });

  it("ends with the code of its kind, in words on stderr or as JSON on stdout", async () => {
    expect(await reportError(new UserError("do this instead"), false)).toBe(EXIT.xeno);
    expect(said.stderr).toBe("error: do this instead\n");
    expect(await reportError(new RefusedError(refuse("suspended", { reason: "fraud" })), true)).toBe(EXIT.xeno);
    expect(JSON.parse(said.stdout)).toMatchObject({ error: { code: "suspended", reason: "fraud" } });
    expect(await reportError(new Error("our own bug"), true)).toBe(EXIT.xeno);
  });

  it.each<[Error, RegExp]>([
    [Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }), /write\n {2}there is no room left: free some/],
    [
      new Error("it failed", { cause: Object.assign(new Error("in the cause"), { code: "EADDRINUSE" }) }),
      /failed\n {2}another program listens/,
    ],
    [Object.assign(new Error("a code that is no text"), { code: 53100 }), /^error: a code that is no text\n$/],
    [
      Object.assign(new Error("EFBIG: file too large, write"), { code: "EFBIG" }),
      /write\n {2}a file may not be so large here: raise `ulimit -f`/,
    ],
    [Object.assign(new Error("a code that every object has"), { code: "constructor" }), /^error: a code that every object has\n$/],
    [new Error("Command failed: initdb\nNo space left on device\n"), /failed: initdb\n {2}No space.*\n {2}there is no room left/],
    [
      new GuestFileError("/tmp/big: No space left on device"),
      /device\n {2}the machine's disk is full: free some there, or order one with more --disk\n$/,
    ],
    [new GuestFileError("/nope: No such file or directory"), /^error: \/nope: No such file or directory\n$/],
    [new TypeError("code?.startsWith is not a function"), /function\n {2}this is a fault of xeno itself; XENO_DEBUG=1/],
    [z.object({ a: z.int() }).safeParse({ a: "x" }).error ?? new Error(), /^error: what was read .* a: Invalid input.*\n$/],
  ])("says cause and next step and shows no code of ours: %s", async (error, says) => {
    expect(await reportError(error, false)).toBe(EXIT.xeno);
    expect(said.stderr).toMatch(says);
    expect(said.stderr).not.toMatch(/^ +at /m);
  });

  it("of a broker that broke its word has a code of its own; what it signed is kept, and shows it to others", async () => {
    const market = new PaperMarket(new Random(3));
    const [customer, owner] = [market.party("carl"), market.party("olga")];
    const server = market.server(owner);
    const { pins } = market;
    const { party, account } = customer;
    const key = { role: "root" as const, scopes: ["read" as const], label: "", leaseLabel: null, seed: "5".repeat(64) };
    await saveContext("m", { url: "http://b.example", pins, currency: "credits", party, account, ...key });
    const order = market.order(customer, { conditions: [{ key: "region", op: "=", value: "eu" }] });
    const po = market.purchaseOrder(order, server, market.offer(server, { labels: { region: "us" } }));
    const grants = [...customer.grants, ...server.grants];
    const error = new BrokenPurchaseOrder("the offer does not meet the order (region=eu)", po.envelope, grants);
    expect(await reportError(error, false)).toBe(EXIT.broken);
    expect(said.stderr).toMatch(
      /is not what was ordered: the offer does not meet the order \(region=eu\); nothing of the job was sent\n {2}the lease was stopped; what it signed is kept: xeno verify /,
    );
    const [file] = await readdir(path.join(folder, "data", "evidence"));
    const kept: unknown = JSON.parse(await readFile(path.join(folder, "data", "evidence", file ?? ""), "utf8"));
    const says = "its broker signed what does not hold: the offer does not meet the order (region=eu)";
    expect(verifyKept(kept, pins)).toEqual({ ok: false, lines: [{ status: "failed", check: "purchase order", says }] });
    // without pins it is said whose word that is
    const byFile = `${says}; by keys that the file itself brings (operator key ${pins.operatorKey})`;
    expect(verifyKept(kept, null)).toEqual({ ok: false, lines: [{ status: "failed", check: "purchase order", says: byFile }] });
    // an honest one in the same file accuses nobody
    const right = market.purchaseOrder(order, server, market.offer(server, { labels: { region: "eu" } }));
    const honest = { ...(kept as object), purchaseOrder: right.envelope };
    expect(verifyKept(honest, pins)).toMatchObject({ ok: true, lines: [{ status: "proved" }] });
    expect(verifyKept(honest, null)).toMatchObject({ lines: [{ status: "claimed" }] });
    expect(verifyKept({ hello: 1 }, pins)).toBeNull();
  });
});
