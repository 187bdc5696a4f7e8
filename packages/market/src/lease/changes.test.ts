/** Extensions: both the customer's word and the held money, in a chain. */
import { describe, expect, it } from "vitest";
import { extensionNanos } from "./changes.ts";
import { CUSTOMER, ORDERS, OWNER, SERVER, STRANGER, opened, partySpeaker, refusalOf, told } from "./lease.fixture.ts";
import type { Speaker } from "../roles.ts";

const VM = { order: { terms: "by-interval" } } as const;
const lease = opened(VM);
const payload = { lease: lease.id, durationMsMax: lease.durationMsMax + 60_000, previous: lease.id };
const signedBy = (signer: Speaker, over: Partial<typeof payload> = {}) => ({
  extension: { id: "extension", signer, payload: { ...payload, ...over } },
});

describe("an amendment", () => {
  it("raises time and hold by what its customer has signed", () => {
    const longer = told(lease, "amendment");
    expect(longer).toMatchObject({ durationMsMax: payload.durationMsMax, lastAmendment: "amendment", timeBound: "time-limit" });
    expect(BigInt(longer.holdNanos) - BigInt(lease.holdNanos)).toBe(extensionNanos(lease, payload.durationMsMax));
    expect(BigInt(longer.holdNanos) > BigInt(lease.holdNanos)).toBe(true);
    expect(told(opened(), "amendment").holdNanos).toBe(opened().holdNanos);
  });

  it("by a key that nobody knows, or that may not spend here, changes nothing", () => {
    for (const signer of [
      STRANGER,
      OWNER,
      SERVER,
      ORDERS,
      partySpeaker("customer", "ci", { scopes: ["control"] }),
      partySpeaker("customer", "ci", { account: "b" }),
    ])
      expect(refusalOf(lease, "amendment", { content: signedBy(signer) })?.code).toBe("not_yours");
    expect(refusalOf(lease, "amendment", { content: signedBy(CUSTOMER) })).toBeNull();
    expect(refusalOf(lease, "amendment", { content: signedBy(CUSTOMER, { lease: "another" }) })?.code).toBe("not_yours");
  });

  it("says what its extension says, and holds what it costs", () => {
    expect(refusalOf(lease, "amendment", { content: { holdNanos: "1" } })?.code).toBe("conflict");
    expect(refusalOf(lease, "amendment", { content: { durationMsMax: payload.durationMsMax + 1 } })?.code).toBe("conflict");
    expect(refusalOf(lease, "amendment", { content: { previous: "another" } })?.code).toBe("conflict");
  });

  it("follows the last one, and is longer, and within what the owner leases", () => {
    const longer = told(lease, "amendment", { id: "first" });
    expect(refusalOf(longer, "amendment", { content: signedBy(CUSTOMER) })?.code).toBe("conflict");
    expect(refusalOf(longer, "amendment", { id: "second" })).toBeNull();
    expect(refusalOf(lease, "extension", { content: { durationMsMax: lease.durationMsMax } })?.code).toBe("bad_payload");
    expect(refusalOf(lease, "extension", { content: { durationMsMax: lease.maxLeaseMs + 1 } })?.code).toBe("bad_payload");
    expect(refusalOf(lease, "extension", { content: { previous: "another" } })?.code).toBe("conflict");
    expect(told(lease, "extension")).toEqual({ ...lease, toldAt: lease.toldAt + 1 });
  });
});
