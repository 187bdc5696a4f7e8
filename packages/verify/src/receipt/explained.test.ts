/** What a line is computed from: its documents with their signers' roles and places, its rules, its numbers. */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { formatMoney } from "@xenoservers/market";
import { describe, expect, it } from "vitest";
import { Cast } from "../testing/cast.ts";
import { usedIn } from "../testing/lease-script.ts";
import { billed } from "../testing/money.ts";
import { retold } from "../testing/moves.ts";
import { STORY_NAMES, storyOf } from "../testing/stories.ts";
import { verifyReceipt } from "./receipt.ts";

const tools = { crypto, createSigner };
const cast = new Cast(tools, 7);
const verified = (name: string, party?: string) => {
  const receipt = retold(storyOf(tools, name, 7), { held: [] });
  const { lines, whose } = verifyReceipt(crypto, cast.pins, receipt, party === undefined ? {} : { party });
  const line = (check: string) => lines.find((each) => each.check === check);
  const sums = (check: string) => Object.fromEntries(line(check)?.computed.map(({ what, is }) => [what, is]) ?? []);
  const documents = (check: string) => line(check)?.documents.map(({ kind, by }) => `${kind} by ${by}`) ?? [];
  return { receipt, lines, whose, line, sums, documents };
};
const PAID = "completed, delivered to its customer";
const LIE = "a lie, shown by one segment";
const MOVED = "a machine, moved to another server of its owner";

describe("a line", () => {
  it.each(STORY_NAMES)("names its rules, and documents that the file holds, each in its place: %s", (name) => {
    const { receipt, lines } = verified(name);
    const places = new Map([...receipt.documents, ...receipt.leaves].map(({ id, index, kind }) => [id, { index, kind }]));
    for (const { check, rules, documents } of lines) {
      expect(rules.length, check).toBeGreaterThan(0);
      for (const { id, index, kind } of documents) expect({ index, kind }, check).toEqual(places.get(id ?? ""));
      expect(new Set(documents.map(({ id }) => id)).size, check).toBe(documents.length);
    }
    // whatever the file holds stands under some line
    const told = new Set(lines.slice(3).flatMap(({ documents }) => documents.map(({ id }) => id)));
    expect(receipt.documents.filter(({ id }) => !told.has(id)).map(({ kind }) => kind)).toEqual([]);
  });

  it("names who signed in which role, and what gave the key its role", () => {
    const { documents } = verified(PAID);
    expect(documents("purchase order")).toEqual([
      "purchase-order by broker-orders",
      ...["key-grant by root", "party by root", "key-grant by enrol", "party by root", "key-grant by root"],
      ...["order by customer", "fee by operator"],
    ]);
    expect(documents("opening").slice(0, 2)).toEqual(["acceptance by server", "opening by broker-orders"]);
    expect(documents("result").slice(0, 2)).toEqual(["result by server", "delivery by customer (device)"]);
    expect(documents("bill")).toEqual(["closing by broker-receipts", "settlement by broker-receipts"]);
    const { documents: judged } = verified(LIE);
    expect(judged("verdict")).toContain("referee by operator");
    expect(judged("verdict")[0]).toBe("verdict by broker-receipts");
    expect(verified("objected to, and ruled on").documents("dispute")).toContain("ruling by operator");
    expect(verified("stopped by its owner").documents("use")).toContain("stop by owner (root)");
  });

  it("names which server said what of a lease that moved, and when it did", () => {
    const { documents, sums } = verified(MOVED);
    expect(sums("use")).toMatchObject({ "claim 1": "9000 ms and 2000 bytes of egress", moved: expect.stringMatching(/^\d+ ms$/) });
    expect(documents("use").slice(0, 5)).toEqual([
      ...["claim by owner (server)", "claim-receipt by broker-receipts", "takeover by server", "move by broker-orders", "claim by server"],
    ]);
    expect(documents("result")[0]).toBe("result by server");
    // nobody pays for the time between the last claim there and the move
    const { play } = storyOf(tools, MOVED, 7);
    expect(sums("use")["open"]).toBe(`${9_000 + play.of("stop").at - play.of("move").at} ms`);
  });

  it("shows how the bill came about, in the numbers of whoever counts by himself", () => {
    for (const name of STORY_NAMES) {
      const { play } = storyOf(tools, name, 7);
      if (!play.has("settlement")) continue;
      const { payload } = play.of("closing").document;
      const { money } = billed(usedIn(play, payload.reason, payload.at));
      const [due, fee, owner, refund] = [money.dueNanos, money.feeNanos, money.ownerNanos, money.refundNanos].map((nanos) =>
        formatMoney(BigInt(nanos)),
      );
      const { sums } = verified(name);
      expect(sums("bill"), name).toMatchObject({ due, fee, owner, refund });
      if (money.billableMs === 0) continue;
      const used =
        play.of("purchase-order").document.payload.terms === "on-result"
          ? { fuel: money.billableFuel }
          : { time: `${money.billableMs} ms` };
      expect(sums("bill"), name).toMatchObject(used);
    }
  });

  it("shows hold, deadlines, claims and deposits", () => {
    const po = storyOf(tools, PAID, 7).play.of("purchase-order").document.payload;
    const { sums } = verified(PAID);
    const amounts = { hold: formatMoney(BigInt(po.holdNanos)), stake: "0.0000", fee: "5 %", "most fuel": po.fuelMax };
    expect(sums("purchase order")).toMatchObject(amounts);
    expect(sums("opening")["accepted"]).toMatch(/^\d+ ms$/);
    expect(sums("use")).toMatchObject({ result: "2000 ms, 5000000000 fuel", open: "2500 ms" });
    expect(verified("completed by interval").sums("use")).toMatchObject({ "claim 1": "9000 ms", "claim 2": "19000 ms" });
    expect(Object.keys(verified("doubted, and its server showed its states").sums("dispute"))).toEqual(["deposit"]);
    expect(verified("objected to, and ruled on").sums("dispute")).toMatchObject({ owner: "0.000000007", "goes to": "customer" });
    const { payload: verdict } = storyOf(tools, LIE, 7).play.of("verdict").document;
    expect(verified(LIE).sums("verdict")).toMatchObject({ judged: "segment 3", "stake taken": formatMoney(BigInt(verdict.slashedNanos)) });
  });
});

describe("whose it is", () => {
  it("is told in full, and yours only to whom it is", () => {
    const parties = { market: "test/market", customer: cast.customer, owner: cast.owner, server: cast.server };
    expect(verified(PAID).whose).toEqual({ ...parties, yours: { order: false, offer: false } });
    expect(verified(PAID, cast.customer).whose).toEqual({ ...parties, yours: { order: true, offer: false } });
    expect(verified(PAID, cast.owner).whose?.yours).toEqual({ order: false, offer: true });
    expect(verified(PAID, cast.stranger).whose?.yours).toEqual({ order: false, offer: false });
  });

  it("is not told where no purchase order holds", () => {
    const told = storyOf(tools, PAID, 7);
    for (const drop of ["purchase-order", "grant device"])
      expect(verifyReceipt(crypto, cast.pins, retold(told, { held: [], drop: [drop] }), { party: cast.customer }).whose).toBeNull();
    expect(verifyReceipt(crypto, cast.pins, {}).whose).toBeNull();
  });
});
