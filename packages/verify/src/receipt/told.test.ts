/** A key says only what its grant allowed where it said it. */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import type { Receipt } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import { Cast, grantOf, type KeyName } from "../testing/cast.ts";
import { LeaseScript, leaseIn, type Deal } from "../testing/lease-script.ts";
import { retold } from "../testing/moves.ts";
import { Rng } from "../testing/rng.ts";
import { receiptOf } from "../testing/script.ts";
import { storyOf } from "../testing/stories.ts";
import { verifyReceipt } from "./receipt.ts";

const cast = new Cast({ crypto, createSigner }, 3);
const LONG = 90_000;
const BY_TIME: Deal = { order: { terms: "by-interval" } };

const failing = (receipt: Receipt): string[] =>
  verifyReceipt(crypto, cast.pins, receipt).lines.flatMap(({ check, status, says }) =>
    status === "failed" && !says.startsWith("it rests") ? [`${check}: ${says}`] : [],
  );
const made = (deal: Deal, tell: (script: LeaseScript) => LeaseScript): Receipt => {
  const play = tell(new LeaseScript(cast, new Rng(3), deal)).play();
  return receiptOf(cast, leaseIn(play), play.filed);
};
const revoked = (script: LeaseScript, key: KeyName, label = `revoked ${key}`): LeaseScript => {
  script.say("customer", "key-revoke", () => ({ party: cast.customer, key: cast.key(key), reason: "lost" }), { label });
  return script;
};
const stoppedBy = (key: KeyName): LeaseScript => new LeaseScript(cast, new Rng(3), BY_TIME).known().bound().opened().stopped(key);
const ended = (script: LeaseScript): LeaseScript =>
  script.after(100).result({ reason: "customer-stop", exitCode: null, memoryHash: null }).over();

describe("a key", () => {
  const story = storyOf({ crypto, createSigner }, "completed, delivered to its customer", 3);

  it("says nothing before its grant, whatever the times say", () => {
    expect(failing(retold(story, { held: [] }))).toEqual([]);
    for (const [label, check] of [
      ["grant device", "purchase order"],
      ["grant server", "purchase order"],
      ["party owner", "signatures"],
    ] as const) {
      expect(failing(retold(story, { held: [], drop: [label] }))[0]).toContain(check);
      const late = retold(story, { held: [], last: [label], at: { [label]: story.play.of("settlement").at } });
      expect(failing(late)[0]).toContain(check);
    }
  });

  it("says nothing after its revocation, and what it said before stands", () => {
    const stop = (s: LeaseScript) => s.known().bound().opened().stopped("ci");
    expect(failing(made(BY_TIME, (s) => ended(stop(s))))).toEqual([]);
    expect(failing(made(BY_TIME, (s) => ended(revoked(stop(s), "ci"))))).toEqual([]);
    const after = made(BY_TIME, (s) => ended(revoked(s.known().bound().opened().after(50), "ci").stopped("ci")));
    expect(failing(after)).toEqual([expect.stringContaining("use: the stop is not signed by a key that may say it here (key_revoked)")]);
  });

  it("is revoked by its place in the log: an earlier time does not bring it back", () => {
    const backdated = made(BY_TIME, (s) => {
      revoked(s.known().bound().opened().after(2_000), "ci");
      s.now -= 1_000;
      return ended(s.stopped("ci"));
    });
    expect(failing(backdated)).toEqual([expect.stringContaining("key_revoked")]);
  });

  it("that was ended anywhere says nothing that has no place in the log, whatever time it is given", () => {
    const play = ended(revoked(stoppedBy("ci"), "ci")).play();
    const { at } = play.of("opening");
    const unplaced = (...labels: string[]) =>
      receiptOf(
        cast,
        leaseIn(play),
        play.filed.map((each) => (labels.includes(each.label) ? { ...each, isPending: true, at: Math.min(each.at, at + 1) } : each)),
      );
    expect(failing(unplaced())).toEqual([]);
    expect(failing(unplaced("settlement"))).not.toContainEqual(expect.stringContaining("key_revoked"));
    expect(failing(unplaced("stop"))).toEqual([
      expect.stringContaining("use: the stop is not signed by a key that may say it here (key_revoked)"),
    ]);
    const stolen = made(BY_TIME, (s) => {
      s.known().say("customer", "key-grant", () => grantOf(cast.customer, cast.key("stranger"), "device"), { label: "grant stranger" });
      return s.rotated().bound().opened();
    });
    const granted = stolen.leaves.map((stored) =>
      stored.id === stolen.leaves.filter(({ kind }) => kind === "key-grant").at(-1)?.id ? { ...stored, index: null, proof: [] } : stored,
    );
    expect(failing(stolen)).toEqual([]);
    expect(failing({ ...stolen, leaves: granted })).toEqual([expect.stringContaining("signatures: the key-grant among the leaves")]);
  });

  it("that was revoked before the purchase order has ordered nothing", () => {
    expect(failing(made(BY_TIME, (s) => revoked(s.known(), "device").bound().opened()))).toEqual([
      expect.stringContaining("key_revoked in its order"),
    ]);
  });

  it("acts only inside its label", () => {
    const other = made({ order: { ...BY_TIME.order, label: "daily" } }, (s) => ended(s.known().bound().opened().stopped("ci")));
    expect(failing(other)).toEqual([expect.stringContaining("use: the stop is not signed by customer or owner")]);
  });

  it("that was replaced as root grants nothing any more", () => {
    const stolen = made(BY_TIME, (s) => {
      s.known()
        .rotated()
        .say("customer", "key-grant", () => grantOf(cast.customer, cast.key("stranger"), "device"), { label: "grant stranger" });
      return s.bound().opened();
    });
    expect(failing(stolen)).toEqual([expect.stringContaining("signatures: the key-grant among the leaves")]);
  });
});

describe("what leans on nothing", () => {
  it("is no part of a receipt: a kind that has no place, an order that was not bound, another lease's documents", () => {
    const extra = (kind: "batch" | "account") =>
      made(BY_TIME, (s) => {
        const { customer: party, account } = cast;
        if (kind === "batch")
          s.known().say("customer", "batch", () => ({ party, account, budgetNanos: "1", expiresAt: 1, clientId: "ab".repeat(16) }));
        else
          s.known().say("customer", "account", () => ({ party, parent: account, name: "x", limitNanos: null, clientId: "ab".repeat(16) }));
        return s.bound().opened();
      });
    expect(failing(extra("batch"))).toEqual([expect.stringContaining("has no place in a lease")]);
    expect(failing(extra("account"))).toEqual([expect.stringContaining("has no place in a lease")]);
    const play = (label: string) =>
      new LeaseScript(cast, new Rng(3), { order: { ...BY_TIME.order, label } }).known().bound().opened().play();
    const [one, two] = [play("x"), play("y")];
    const withAnother = (label: string) => {
      const another = two.find(label);
      return receiptOf(cast, leaseIn(one), another ? [...one.filed, { ...another, at: another.at + 60_000 }] : []);
    };
    expect(failing(withAnother("order"))).toEqual([expect.stringContaining("another order")]);
    expect(failing(withAnother("acceptance"))).toEqual([expect.stringContaining("another lease")]);
    expect(failing(withAnother("purchase-order"))).toEqual([expect.stringContaining("one purchase order")]);
  });

  it("what comes after the first that is not taken is not believed, of whatever it speaks", () => {
    const twice = made({ order: { terms: "on-result" } }, (s) => {
      s.known().bound().opened().after(2_500).result().delivered().over().after(1_000).traced("1");
      return s.after(LONG).over("server-unreachable");
    });
    const { lines } = verifyReceipt(crypto, cast.pins, twice);
    expect(lines.find(({ check }) => check === "bill")).toMatchObject({
      status: "failed",
      says: expect.stringContaining("a closing comes after"),
    });
  });

  it("a gap before the lease, or after its end, changes nothing", () => {
    expect(failing(made({}, (s) => s.gap(40_000).known().bound().stopped().gap(40_000)))).toEqual([]);
    expect(failing(made(BY_TIME, (s) => s.known().gap(9_000).bound().opened().after(100).result().over().gap(9_000)))).toEqual([]);
  });

  it("two gaps that overlap are no gaps", () => {
    const twice = made(BY_TIME, (s) => {
      s.known()
        .bound()
        .opened()
        .gap(9_000)
        .say("receipts", "gap", (_, at) => ({ from: at - 100, to: at }), { label: "again" });
      return s;
    });
    expect(failing(twice)).toEqual([expect.stringContaining("use: two gaps overlap")]);
  });
});
