import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AUDIT_PPM_FLOOR, PPM, drawPpm, holdsReserve, isAudited, isDrawnFor, recordPpm, statedDrawProblem } from "./audit.ts";
import { isDrawn } from "./audit-draw.ts";
import { RESULT_REASONS } from "./lease/terms.ts";

const ended = { auditPpm: PPM, terms: "on-result", driver: "wasm", assurance: "replicated", fuelMax: "9" } as const;
const completed = { reason: "completed", fuel: "5" } as const;

describe("audits", () => {
  it("look at every job of a newcomer, and never at fewer than one in a hundred", () => {
    expect([0, 4, 36, 396, 100_000].map(recordPpm)).toEqual([PPM, 500_000, 100_000, AUDIT_PPM_FLOOR, AUDIT_PPM_FLOOR]);
  });

  it("leave a cheat less than nothing to expect, whatever price, stake and record", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 15n), fc.bigInt(0n, 10n ** 15n), fc.nat(1_000_000), (due, stake, audited) => {
        const ppm = drawPpm(recordPpm(audited), due, stake);
        expect(ppm).toBeGreaterThanOrEqual(AUDIT_PPM_FLOOR);
        expect(ppm).toBeLessThanOrEqual(PPM);
        const gain = BigInt(PPM - ppm) * due - BigInt(ppm) * stake;
        if (due > 0n && stake > 0n) expect(gain).toBeLessThan(0n);
        if (stake === 0n && due > 0n) expect(ppm).toBe(PPM);
      }),
    );
  });

  it("are of orders that stake stands behind and that another run can show wrong; what that costs is held once for all replicas", () => {
    const order = { driver: "wasm", assurance: "replicated", terms: "on-result", segment: false } as const;
    expect(isAudited(order)).toBe(true);
    expect(isAudited({ ...order, driver: "qemu", assurance: "deterministic-vm" })).toBe(true);
    for (const other of [{ assurance: "isolated" }, { terms: "by-interval" }, { segment: true }, { driver: "qemu" }] as const)
      expect(isAudited({ ...order, ...other }), JSON.stringify(other)).toBe(false);
    expect([0, 1, 2].map((slot) => holdsReserve(order, slot))).toEqual([true, false, false]);
  });

  it("are of every end that another run can be compared with, not only of what ran to its end", () => {
    const drawnFor = RESULT_REASONS.filter((reason) => isDrawnFor({ ...ended, result: { reason, fuel: "5" } }, reason));
    for (const reason of [
      "completed",
      "memory-limit",
      "output-limit",
      "module-malformed",
      "fuel-limit",
      "budget",
      "time-limit",
      "customer-stop",
    ] as const)
      expect(drawnFor).toContain(reason);
    for (const reason of ["owner-stop", "vm-crashed", "server-failed", "input-missing"] as const) expect(drawnFor).not.toContain(reason);
    expect(isDrawnFor({ ...ended, result: { reason: "customer-stop", fuel: "0" } }, "customer-stop")).toBe(false);
    expect(isDrawnFor({ ...ended, auditPpm: 0, result: completed }, "completed")).toBe(false);
    expect(isDrawnFor({ ...ended, result: completed }, "not-delivered")).toBe(false);
    expect(isDrawnFor({ ...ended, result: null }, "server-unreachable")).toBe(false);
  });

  it("are stated where there is something to draw, and nothing is left undrawn without a round that can show it", () => {
    const drawable = { ...ended, result: completed };
    const stated = (audited: boolean | null, auditRound: string | null) =>
      statedDrawProblem(drawable, "completed", { audited, auditRound }) === null;
    expect([stated(true, "r"), stated(false, "r"), stated(true, null)]).toEqual([true, true, true]);
    expect([stated(false, null), stated(null, null), stated(null, "r")]).toEqual([false, false, false]);
    const none = { ...drawable, auditPpm: 0 };
    expect(statedDrawProblem(none, "completed", { audited: null, auditRound: null })).toBeNull();
    expect(statedDrawProblem(none, "completed", { audited: true, auditRound: "r" })).not.toBeNull();
    expect(statedDrawProblem(none, "completed", { audited: null, auditRound: "r" })).not.toBeNull();
  });
});

describe("a draw", () => {
  const mac = (first: number, ...rest: number[]) => Uint8Array.from([first, ...rest, ...Array.from({ length: 31 - rest.length }, () => 0)]);

  it("is below the rate, to the last bit", () => {
    expect(isDrawn(mac(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), PPM)).toBe(true);
    expect(isDrawn(mac(0), 0)).toBe(false);
    expect(isDrawn(mac(0), 1)).toBe(true);
    expect([isDrawn(mac(0x80), 500_000), isDrawn(mac(0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 500_000)]).toEqual([false, true]);
  });

  it("does not look beyond its eight bytes", () => {
    const at = mac(0x80);
    expect(isDrawn(Uint8Array.from([...at.subarray(0, 8), ...Array.from({ length: 24 }, () => 0xff)]), 500_000)).toBe(isDrawn(at, 500_000));
  });
});
