import fc from "fast-check";
import { expect, it } from "vitest";
import { unheardMs } from "./unheard.ts";

const AWAY = { fromMs: 1_000, toMs: 11_000 };

it("is the time from the job's end to where somebody listens again", () => {
  expect(unheardMs({ agoMs: 4_200, heardMs: 11_200 }, AWAY)).toBe(4_000);
  expect(unheardMs({ agoMs: 10_200, heardMs: 11_200 }, AWAY)).toBe(10_000);
});

it("is nothing where the guest says nothing, or ended as somebody listened", () => {
  expect(unheardMs(null, AWAY)).toBe(0);
  expect(unheardMs({ agoMs: 4_200, heardMs: 11_200 }, null)).toBe(0);
  expect(unheardMs({ agoMs: 3, heardMs: 11_200 }, AWAY)).toBe(0);
});

it("is no more than that where the guest says an hour, and nothing for one that went on when it was heard", () => {
  expect(unheardMs({ agoMs: 3_600_000, heardMs: 11_200 }, AWAY)).toBe(10_000);
  expect(unheardMs({ agoMs: 3_600_000, heardMs: 71_001 }, AWAY)).toBe(0);
});

it("is nothing of a time below zero, nor where there was no such time", () => {
  expect(unheardMs({ agoMs: -3_600_000, heardMs: 11_200 }, AWAY)).toBe(0);
  expect(unheardMs({ agoMs: 5_000, heardMs: 11_200 }, { fromMs: 12_000, toMs: 11_000 })).toBe(0);
});

it("takes nothing of what its server was there for, whatever the guest says", () => {
  const ms = fc.integer({ min: 0, max: 10_000_000 });
  fc.assert(
    fc.property(ms, ms, ms, fc.double({ noNaN: true }), (fromMs, awayMs, laterMs, agoMs) => {
      const toMs = fromMs + awayMs;
      const unheard = unheardMs({ agoMs, heardMs: toMs + laterMs }, { fromMs, toMs });
      expect(unheard).toBeGreaterThanOrEqual(0);
      expect(unheard).toBeLessThanOrEqual(awayMs);
    }),
  );
});
