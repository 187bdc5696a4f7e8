import { afterAll, beforeAll, expect, it } from "vitest";
import type { Receipt } from "@xenoservers/protocol";
import { verifyReceipt } from "@xenoservers/verify";
import { pythonJob } from "./jobs.ts";
import { loggedReceipt, orderAndFollow, startMarket, type TestMarket } from "./market.ts";

let market: TestMarket;
beforeAll(async () => {
  market = await startMarket();
});
afterAll(() => market.close());

it("rents, runs, pays and verifies", async () => {
  const { customer } = market;
  const run = await orderAndFollow(
    customer,
    await pythonJob("import sys\nprint('hello')\nprint('err', file=sys.stderr)\nopen('/out/a.txt','w').write('A' * 100000)\nsys.exit(5)"),
  );
  const end = await run.end();
  expect(end).toMatchObject({
    stdout: "hello\n",
    stderr: "err\n",
    lease: { state: "settled", end: { reason: "completed", exitCode: 5, blame: "nobody" } },
  });
  expect(end.files["out/a.txt"]).toBe("A".repeat(100_000));
  const receipt = await loggedReceipt(customer, end.lease.id);
  const verified = verifyReceipt(customer.crypto, customer.pins, receipt, { customerKey: customer.identity.signer.publicKey });
  expect(verified.lines.filter(({ status }) => status === "failed")).toEqual([]);
  expect(verified.lines.map(({ status, check }) => `${check} ${status}`)).toEqual([
    "file proved",
    "signatures proved",
    "log claimed",
    "purchase order proved",
    "opening proved",
    "use claimed",
    "result claimed",
    "bill proved",
  ]);
  await tampered(customer, receipt);
  const { balances } = await customer.read("accounts");
  expect(BigInt(balances.available)).toBe(10_000_000_000n - BigInt(end.lease.end!.dueNanos));
  expect(balances.held).toBe("0");
});

/** A receipt changed in any one place, by whoever handed it over, must not verify. */
async function tampered(customer: TestMarket["customer"], receipt: Receipt): Promise<void> {
  const failing = (change: (copy: Receipt) => void, own = {}, pins = customer.pins): string[] => {
    const copy = structuredClone(receipt);
    change(copy);
    return verifyReceipt(customer.crypto, pins, copy, own)
      .lines.filter(({ status }) => status === "failed")
      .map(({ check }) => check);
  };
  const of = (copy: Receipt, kind: string) => copy.documents.find((document) => document.kind === kind)!;
  const drop = (kind: string) => (copy: Receipt) => void (copy.documents = copy.documents.filter((document) => document.kind !== kind));
  expect(failing(() => {})).toEqual([]);
  for (const { kind } of receipt.documents) {
    expect(
      failing((copy) => void (of(copy, kind).salt = "ab".repeat(32))),
      `${kind} with another salt`,
    ).toContain("signatures");
    expect(
      failing((copy) => void (of(copy, kind).at += 1)),
      `${kind} at another time`,
    ).toContain("signatures");
    expect(
      failing(
        (copy) =>
          void (of(copy, kind).envelope.signatures[0].sig = of(copy, "order").envelope.signatures[0].sig.replace(/^./, (c) =>
            c === "A" ? "B" : "A",
          )),
      ),
      `${kind} with another signature`,
    ).toContain("signatures");
    expect(
      failing((copy) => void (of(copy, kind).index = 0)),
      `${kind} at another place`,
    ).toContain("log");
  }
  expect(failing((copy) => void (copy.size += 1))).toContain("log");
  expect(failing((copy) => void (copy.checkpoint = copy.checkpoint.replace(/\n\d+\n/, "\n99\n")))).toContain("log");
  expect(failing(drop("purchase-order"))).toContain("purchase order");
  expect(failing(drop("acceptance"))).toContain("opening");
  expect(failing(drop("closing"))).toContain("bill");
  expect(failing(drop("result"))).toContain("bill");
  expect(failing((copy) => void copy.documents.push(copy.documents[0]!))).toContain("signatures");
  expect(failing(() => {}, { customerKey: "00".repeat(32) })).toContain("purchase order");
  expect(failing(() => {}, { outputDigest: "00".repeat(32) })).toContain("result");
  expect(failing(() => {}, {}, { ...customer.pins, keys: { ...customer.pins.keys, checkpoints: "00".repeat(32) } })).toContain("file");
  expect(failing((copy) => void (copy.market.origin = "elsewhere"))).toContain("file");
  expect(verifyReceipt(customer.crypto, customer.pins, { nonsense: true }).ok).toBe(false);
}
