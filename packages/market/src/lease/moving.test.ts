/** A lease that goes on at another server of its owner: in one place, at one meter, for the same money. */
import { describe, expect, it } from "vitest";
import {
  CUSTOMER,
  MACHINE,
  OTHER_SERVER,
  OWNER,
  SERVER,
  claimed,
  factFor,
  offerOf,
  opened,
  partySpeaker,
  refusalOf,
  silent,
  tell,
  told,
  type Terms,
} from "./lease.fixture.ts";
import type { Contents } from "./facts.ts";
import type { Lease } from "./lease.ts";
import { stayingReason } from "./moving.ts";
import { lastClaimOf, mostUsedMs } from "./use.ts";

const lease = claimed(opened(MACHINE));

type Takeover = Contents["takeover"];
const takeoverOf = (of: Lease): Takeover => factFor(of, "takeover").content;
const offered = (of: Lease, over: Partial<Takeover["offer"]["payload"]>) => {
  const { offer } = takeoverOf(of);
  return { offer: { ...offer, payload: { ...offer.payload, ...over } } };
};
const handedOver = (of: Lease, over: Partial<Takeover["handover"]["payload"]>) => {
  const { handover } = takeoverOf(of);
  return { handover: { ...handover, payload: { ...handover.payload, ...over } } };
};
const refused = (of: Lease, content: Partial<Takeover>) => {
  const payload = { ...takeoverOf(of), ...content };
  const { takeover } = factFor(of, "move").content;
  const alone = refusalOf(of, "takeover", { content });
  // its move is refused for the same
  expect(refusalOf(of, "move", { content: { takeover: { ...takeover, payload } } })).toEqual(alone);
  return alone;
};

/** What the first server signs to have it back from the other. */
function home(of: Lease): Takeover {
  const { handover, offer } = takeoverOf(of);
  return {
    ...{ lease: of.id, server: "server", serverOfKey: "server" },
    handover: { ...handover, signer: OTHER_SERVER, payload: { ...handover.payload, server: "other-server", to: "server" } },
    offer: { ...offer, signer: SERVER, payload: { ...offer.payload, server: "server" } },
  };
}

describe("a move", () => {
  it("makes the lease the other server's, and changes nothing of its money, its limits or its meter", () => {
    const moved = told(lease, "move");
    const { server, serverKey, lastMove, heardAt, toldAt, maxLeaseMs, metered } = moved;
    expect({ server, serverKey, lastMove, heardAt }).toEqual({
      ...{ server: "other-server", serverKey: "owner/other-server", lastMove: "move", heardAt: lease.toldAt + 1 },
    });
    expect(metered).toEqual({ at: lease.toldAt + 1, usedMs: 100 });
    expect(moved).toEqual({ ...lease, server, serverKey, lastMove, moves: 1, heardAt, toldAt, maxLeaseMs, metered });
    expect(told(lease, "takeover")).toEqual({ ...lease, toldAt: lease.toldAt + 1 });
  });

  it("leaves claims and result to the server that has it", () => {
    const moved = told(lease, "move");
    const claim = { id: "claim 2", signer: OTHER_SERVER, at: moved.toldAt + 10_000 } as const;
    expect(refusalOf(moved, "claim", { ...claim, signer: SERVER })?.code).toBe("not_yours");
    const claimedOn = told(told(moved, "claim", claim), "claim-receipt");
    expect(claimedOn.lastClaim).toMatchObject({ sequence: 2, usedMs: 200 });
    const less = { ...claim, content: { usedMs: 99 } };
    expect(refusalOf(moved, "claim", less)?.code).toBe("claim_decreasing");
    const result = { content: { reason: "customer-stop", exitCode: null } } as const;
    const stopped = told(claimedOn, "stop");
    expect(refusalOf(stopped, "result", result)?.code).toBe("not_yours");
    expect(refusalOf(stopped, "result", { ...result, signer: OTHER_SERVER })).toBeNull();
    expect(refusalOf(stopped, "result", { signer: OTHER_SERVER, content: { ...result.content, server: "server" } })?.code).toBe(
      "not_yours",
    );
  });

  it("bills one meter: the time between the servers is nobody's", () => {
    const away = told(lease, "move", { at: lease.toldAt + 5_000 });
    const { end } = silent(away);
    expect(end).toMatchObject({ reason: "server-unreachable", billableMs: 100 });
    expect(silent(lease).end).toMatchObject({ billableMs: 100 });
  });

  it("bills no time in which the guest stood still, whatever its owner claims", () => {
    const away = told(lease, "move", { at: lease.toldAt + 50_000 });
    const [signer, at] = [OTHER_SERVER, away.toldAt + 2_000];
    const claim = (usedMs: number) => ({ id: "claim 2", signer, at, content: { usedMs } });
    // 100 ms before the move, 2 s after it, and what two clocks may differ by
    expect(refusalOf(away, "claim", claim(3_101))?.code).toBe("claim_too_early");
    expect(refusalOf(away, "claim", claim(3_100))).toBeNull();
    const stopped = told(away, "stop", { at });
    const content = { usedMs: 52_000, reason: "customer-stop", exitCode: null } as const;
    const { end } = told(told(told(stopped, "result", { signer, at, content }), "closing"), "settlement");
    expect(end).toMatchObject({ reason: "customer-stop", billableMs: 2_100 });
  });

  it("bills none of several standstills", () => {
    const away = told(lease, "move", { at: lease.toldAt + 50_000 });
    const claim = told(away, "claim", { id: "claim 2", signer: OTHER_SERVER, at: away.toldAt + 1_000, content: { usedMs: 1_100 } });
    const there = told(claim, "claim-receipt");
    const at = there.toldAt + 50_000;
    const takeover = { id: "takeover back", signer: SERVER, payload: home(there) };
    const again = told(there, "move", { id: "move back", at, content: { previous: "move", takeover } });
    expect(again).toMatchObject({ server: "server", metered: { at, usedMs: 1_100 } });
    const most = { id: "claim 3", at: at + 1_000, content: { usedMs: 3_100 } };
    expect(refusalOf(again, "claim", most)).toBeNull();
    expect(refusalOf(again, "claim", { ...most, content: { usedMs: 3_101 } })?.code).toBe("claim_too_early");
  });

  it("lets no owner add up, over many moves, what two clocks may differ by", () => {
    let now = lease;
    const begunAt = now.toldAt;
    const before = mostUsedMs(now, begunAt);
    for (let turn = 0; turn < 10; turn++) {
      const isHome = now.server === "server";
      const signer = isHome ? SERVER : OTHER_SERVER;
      const at = now.toldAt + 10;
      const usedMs = mostUsedMs(now, at) + 1_000;
      now = told(told(now, "claim", { id: `claim ${turn + 2}`, signer, at, content: { usedMs } }), "claim-receipt");
      const back = { id: `takeover ${turn}`, signer: SERVER, payload: home(now) };
      now = told(now, "move", { id: `move ${turn}`, ...(isHome ? {} : { content: { takeover: back } }) });
    }
    expect(mostUsedMs(now, now.toldAt)).toBeLessThanOrEqual(before + now.toldAt - begunAt);
  });

  it("counts once: a claim that is receipted before it gives the lease back, and so does another move", () => {
    const handed = factFor(lease, "takeover").content;
    const back = claimed(lease);
    expect(refusalOf(back, "takeover", { content: handed })).toMatchObject({ code: "conflict" });
    expect(refusalOf(back, "takeover")).toBeNull();
    const moved = told(lease, "move");
    expect(refusalOf(moved, "takeover", { content: handed })?.code).toBe("not_yours");
    // the other server would hand it back by a handover of its own, after the move
    const fresh = home(moved);
    expect(refusalOf(moved, "takeover", { signer: SERVER, content: fresh })).toBeNull();
    const { handover } = fresh;
    const early = { ...fresh, handover: { ...handover, payload: { ...handover.payload, previous: handed.handover.payload.previous } } };
    expect(refusalOf(moved, "takeover", { signer: SERVER, content: early })).toMatchObject({ code: "conflict" });
  });

  it("is signed by both servers of the owner, and by the broker for the one that is there", () => {
    for (const signer of [SERVER, OWNER, CUSTOMER, partySpeaker("stranger", "server"), { ...OTHER_SERVER, scopes: ["read"] } as const])
      expect(refusalOf(lease, "takeover", { signer })?.code).toBe("not_yours");
    expect(refused(lease, { serverOfKey: "another" })?.code).toBe("not_yours");
    expect(refused(lease, { offer: { ...takeoverOf(lease).offer, signer: SERVER } })?.code).toBe("not_yours");
    expect(refused(lease, offered(lease, { owner: "stranger" }))?.code).toBe("not_yours");
    expect(refused(lease, offered(lease, { server: "third" }))?.code).toBe("not_yours");
    for (const signer of [OTHER_SERVER, OWNER, CUSTOMER])
      expect(refused(lease, { handover: { ...takeoverOf(lease).handover, signer } })?.code).toBe("not_yours");
    expect(refusalOf(lease, "move", { content: { at: 1 } })?.code).toBe("conflict");
    expect(refusalOf(lease, "move", { content: { previous: "another" } })?.code).toBe("conflict");
  });

  it.each([
    ["another lease", { lease: "another" }],
    ["another first server", { server: "third" }],
    ["another second server", { to: "third" }],
    ["an earlier claim", { lastClaim: "opening" }],
    ["an earlier move", { previous: "move 0" }],
  ] as const)("takes no handover of %s", (_, over) => {
    expect(refused(lease, handedOver(lease, over))?.code).toBe("conflict");
  });

  it("takes no takeover of another lease inside a move", () => {
    const { takeover } = factFor(lease, "move").content;
    const content = { takeover: { ...takeover, payload: { ...takeover.payload, lease: "another" } } };
    expect(refusalOf(lease, "move", { content })).toMatchObject({ code: "conflict", why: expect.stringContaining("another lease") });
  });

  it("counts the silence before it as any that is heard again", () => {
    const at = lease.heardAt + 3 * lease.timings.claimIntervalMs;
    expect(told(lease, "move", { at }).silentMs).toBe(lease.silentMs + 3 * lease.timings.claimIntervalMs);
  });

  it("does not go where images are not fetched, once its order asks for that", () => {
    const fetching = { ...lease, fetches: true };
    expect(refused(fetching, offered(fetching, { fetches: true }))).toBeNull();
    expect(refused(fetching, offered(fetching, { fetches: false }))?.why).toContain("fetches no images");
  });

  it("never stays where it is under the name of a move", () => {
    const here = { server: "server", serverOfKey: "server", ...handedOver(lease, { to: "server" }) };
    const offer = {
      ...takeoverOf(lease).offer,
      signer: SERVER,
      payload: offerOf({ drivers: ["qemu"], validUntil: lease.toldAt + 60_000 }),
    };
    expect(refusalOf(lease, "takeover", { signer: SERVER, content: { ...here, offer } })).toMatchObject({
      ...{ code: "conflict", why: "the lease is at this server already" },
    });
  });
});

describe("where a lease may move", () => {
  const asked = (order: Terms["order"], offer: Terms["offer"] = {}) => claimed(opened({ order: { ...MACHINE.order, ...order }, offer }));

  it("is where its customer's conditions hold, of whatever price its server has there", () => {
    const dear = { ...offerOf().price, vcpuNanosPerSecond: "999999999" };
    const cheap = asked({ conditions: [{ key: "region", op: "=", value: "eu" }], maxPriceNanosPerHour: "1000000000" });
    expect(refused(cheap, offered(cheap, { price: dear }))).toBeNull();
    expect(told(cheap, "move").price).toEqual(cheap.price);
    expect(refused(cheap, offered(cheap, { labels: { region: "us" } }))).toMatchObject({
      ...{ code: "conflict", why: expect.stringContaining("region=eu") },
    });
    const pinned = asked({ conditions: [{ key: "server", op: "=", value: "server" }] });
    expect(refused(pinned, {})?.code).toBe("conflict");
  });

  it.each([
    ["another driver", { drivers: ["xen"] }],
    ["only emulation where hardware was asked for", { accel: "emulated" }],
    ["less room than it needs", { resources: { vcpu: 1, memoryMib: 256, diskMib: 1024 } }],
    ["less of the network", { egress: "none" }],
    ["other customers", { allowedParties: ["another"] }],
    ["shorter leases", { maxLeaseMs: 60_000 }],
    ["a lower fee", { feeBasisPointsMax: 0 }],
    ["another engine", { vmEngine: "another" }],
    ["an offer that is over", { validUntil: 0 }],
    ["other timings", { timings: { ...offerOf().timings, graceMs: 1 } }],
  ] as const)("is not where there is %s", (_, over) => {
    const kvm = claimed(
      opened({
        ...MACHINE,
        order: { ...MACHINE.order, accel: "kvm", egress: "public" },
        po: { feeBasisPoints: 1 },
        fee: { basisPoints: 1, effectiveAt: 0 },
      }),
    );
    expect(refused(kvm, {})).toBeNull();
    expect(refused(kvm, offered(kvm, over))?.code).toBe("conflict");
  });

  it("is nowhere for a customer that wants it to stay, for jobs, and for what must run alike", () => {
    expect(stayingReason(asked({}))).toBeNull();
    expect(refused(asked({ stays: true }), {})).toMatchObject({ why: expect.stringContaining("ordered that it stays") });
    expect(refused(claimed(opened()), {})).toMatchObject({ why: expect.stringContaining("driver wasm does not move") });
    expect(stayingReason({ ...lease, assurance: "deterministic-vm" })).toContain("deterministic-vm");
    const { placing: _, ...ofEarlierVersion } = lease;
    expect(refusalOf(ofEarlierVersion, "takeover")?.code).toBe("conflict");
  });

  it("bounds how long it can be extended by what both servers' offers say", () => {
    const moved = told(lease, "move", {
      content: {
        takeover: {
          ...factFor(lease, "move").content.takeover,
          payload: { ...takeoverOf(lease), ...offered(lease, { maxLeaseMs: 4_000_000 }) },
        },
      },
    });
    expect(moved.maxLeaseMs).toBe(4_000_000);
    expect(refusalOf(moved, "extension", { content: { durationMsMax: 4_000_001 } })?.code).toBe("bad_payload");
    expect(told(lease, "move").maxLeaseMs).toBe(lease.maxLeaseMs);
  });

  it("is taken only while the lease is open", () => {
    const stopping = told(lease, "stop");
    expect(tell(stopping, "move")).toMatchObject({ ok: false, code: "wrong_state" });
    expect(lastClaimOf(told(lease, "move"))).toEqual(lease.lastClaim);
  });
});
