/** Assurance `deterministic-vm`: the same bytes in, the same serial bytes and memory out, on servers of two owners, before the referee, and at home. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { LeaseSession, placeReplicas, disputeResults, openLink } from "@xenoservers/sdk";
import { parseDocumentOf } from "@xenoservers/protocol";
import { resultDifference } from "@xenoservers/verify";
import { orderAndFollow, wanted, type TestMarket } from "../process/market.ts";
import { cliHome, initrd, kernel, kernelMachine, machines, vmMarket, wantedFor } from "./support.ts";

const SCRIPT = "echo computed $(seq 1 2000 | sha256sum); date; head -c 8 /dev/urandom | xxd -p; reboot -f";

machines("deterministic machines", () => {
  let market: TestMarket;
  let engine: string;
  beforeAll(async () => {
    market = await vmMarket("[capacity]\nvcpu = 2\n");
    await market.operator("credit", {
      party: market.owner.identity.party,
      amountNanos: "20000000000",
      source: "operator",
      reference: "",
      clientId: market.owner.newId(),
    });
    await market.owner.act("stake", {
      party: market.owner.identity.party,
      amountNanos: "10000000000",
      direction: "deposit",
      clientId: market.owner.newId(),
    });
    const { offers } = await market.customer.read("offers", { query: { driver: "qemu" } });
    engine = offers[0]!.vmEngine;
  });
  afterAll(() => market.close());
  const order = { assurance: "deterministic-vm" as const, terms: "on-result" as const, budgetNanos: 3_000_000_000n };
  const job = async (over = {}) =>
    kernelMachine(await initrd(SCRIPT), { engine, memoryMib: 96, seed: Buffer.alloc(32, 7), clockBaseMs: 1_700_000_000_000, ...over });

  it("gives two runs the same output, memory and instructions, and another seed another output", async () => {
    const once = async (over = {}) => {
      const machine = await job(over);
      const end = await (await orderAndFollow(market.customer, machine, wantedFor(machine, order))).end();
      expect(end.lease.end).toMatchObject({ reason: "completed", exitCode: 0 });
      expect(BigInt(end.lease.end!.dueNanos)).toBeGreaterThan(0n);
      return end;
    };
    const [first, second] = [await once(), await once()];
    expect(first.stdout).toContain("computed");
    expect(first.stdout).toContain("2023");
    expect(second.stdout).toBe(first.stdout);
    expect(second.delivered!.result.memoryHash).toBe(first.delivered!.result.memoryHash);
    expect(second.delivered!.result.fuel).toBe(first.delivered!.result.fuel);
    expect(createHash("sha256").update(first.stdout).digest("hex")).toBe(first.delivered!.result.stdoutDigest);
    const other = await once({ seed: Buffer.alloc(32, 8) });
    expect(other.delivered!.result.memoryHash).not.toBe(first.delivered!.result.memoryHash);
  });

  it("is run by replicas of two owners, who agree; a cheating one is convicted by the referee", async () => {
    const second = await market.newParty("second owner", "20000000000");
    await second.act("stake", { party: second.identity.party, amountNanos: "10000000000", direction: "deposit", clientId: second.newId() });
    const other = await market.addServer("second", second, { toml: "[capacity]\nvcpu = 1\n" });
    // a referee for machines has stake like any owner of provable ones
    const umpire = await market.newParty("referee's owner", "20000000000");
    await umpire.act("stake", { party: umpire.identity.party, amountNanos: "10000000000", direction: "deposit", clientId: umpire.newId() });
    const judge = await market.addServer("referee", umpire, { toml: "[capacity]\nvcpu = 1\n" });
    await market.operator("referee", { server: judge.server.id, active: true, clientId: market.owner.newId() });
    const machine = await job();
    const replicated = async () => {
      const bounds = await placeReplicas(
        market.customer,
        wanted({
          ...wantedFor(machine, {
            ...order,
            replicas: 2,
            budgetNanos: 6_000_000_000n,
            conditions: [{ key: "server", op: "!=", value: judge.server.id }],
          }),
        }),
        machine.jobHash,
      );
      const sessions: LeaseSession[] = [];
      const link = openLink(market.customer, {
        onUp: () => sessions.forEach((each) => each.hint()),
        onEvent: (event) => sessions.forEach((each) => each.hint(event)),
      });
      for (const bound of bounds) sessions.push(new LeaseSession(market.customer, bound, machine, {}, link));
      const leases = await Promise.all(sessions.map((each) => each.settled()));
      for (const each of sessions) each.close();
      link.stop();
      const results = await Promise.all(
        leases.map(async ({ id }) => {
          const { documents } = await market.customer.read("receipt", { params: { id } });
          const parsed = parseDocumentOf(market.customer.crypto, "result", documents.find(({ kind }) => kind === "result")!.envelope);
          if (!parsed.ok) throw new Error("no result");
          return parsed.document.payload;
        }),
      );
      return { leases, results, order: bounds[0]!.order.payload };
    };
    const honest = await replicated();
    expect(new Set(honest.leases.map(({ owner }) => owner)).size).toBe(2);
    expect(resultDifference(honest.results[0]!, honest.results[1]!)).toBeNull();
    // the second owner now gives every machine more than it says: its results are its own
    lieAbout(other);
    const cheated = await replicated();
    expect(resultDifference(cheated.results[0]!, cheated.results[1]!)).not.toBeNull();
    const judged = await disputeResults(
      market.customer,
      cheated.leases.map(({ id }) => id),
      cheated.order,
      machine,
      3_000_000_000n,
    );
    const convicted = cheated.leases.filter(({ id }) => judged.verdicts.get(id));
    expect(convicted.map(({ server }) => server)).toEqual([other.server.id]);
  });

  it("is ordered, verified and re-executed by the command line", async () => {
    const cli = await cliHome(market);
    const ramdisk = path.join(market.folder, "ramdisk");
    await writeFile(ramdisk, await initrd(SCRIPT));
    const words = [
      "--kernel",
      await kernel(),
      "--initrd",
      ramdisk,
      "--append",
      "console=ttyS0 quiet panic=-1",
      "--mem",
      "96M",
      "--accel",
      "any",
    ];
    const ran = await cli.xeno(
      "run",
      "--assurance",
      "deterministic-vm",
      "--budget",
      "3",
      "--where",
      `server=${market.daemon.server.id}`,
      ...words,
    );
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toContain("computed");
    const lease = /lease {4}([0-9a-f]{12})/.exec(ran.stderr)![1]!;
    const verified = await cli.xeno("verify", lease, "--re-execute");
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    expect(verified.stdout).toMatch(/proved\s+result/);
    const other = await cli.xeno("run", ...words, "--max-time", "5s");
    const refused = await cli.xeno("verify", /lease {4}([0-9a-f]{12})/.exec(other.stderr)![1]!, "--re-execute");
    expect(refused.stderr).toMatch(/did not keep the job|nothing to compare/);
  });
});

/** Its RAM hash is made up: as an owner would who did not run the machine at all. */
function lieAbout(daemon: import("@xenoservers/xenoserver").Daemon): void {
  const { vms } = daemon;
  const prepare = vms!.prepare.bind(vms);
  vms!.prepare = async (work) => {
    const prepared = await prepare(work);
    return {
      ...prepared,
      begin: async () => {
        const guest = await prepared.begin();
        return { ...guest, ended: guest.ended.then((end) => (end.kind === "result" ? { ...end, memoryHash: "42".repeat(32) } : end)) };
      },
    };
  };
}
