/** The table of endings: nothing that is paid is left to a server's word alone, and what is compared is alike on every honest server. */
import { describe, expect, it } from "vitest";
import { DRIVERS, DRIVER_NAMES, runsAlike } from "../drivers.ts";
import { ENDINGS, endingRow, fuelToRun, isAlike, proofOf } from "./proofs.ts";
import { END_REASONS, PAYMENT_TERMS, RESULT_REASONS, TERMS } from "./terms.ts";

const wasm = { driver: "wasm", assurance: "replicated" } as const;
const ended = (reason: (typeof RESULT_REASONS)[number], fuel = "5", fuelMax = "9") => ({ reason, fuel, fuelMax });

describe("every ending", () => {
  it("that can be has one cell", () => {
    const cells = DRIVER_NAMES.flatMap((driver) =>
      DRIVERS[driver].assurances.flatMap((assurance) =>
        PAYMENT_TERMS.flatMap((terms) => END_REASONS.map((reason) => endingRow(reason, { driver, assurance }, terms))),
      ),
    );
    expect(ENDINGS).toHaveLength(cells.filter((cell) => cell !== null).length);
    expect(endingRow("guest-panic", wasm, "on-result")).toBeNull();
    expect(endingRow("fuel-limit", { driver: "qemu", assurance: "deterministic-vm" }, "on-result")).toBeNull();
    expect(endingRow("completed", { driver: "wasm", assurance: "deterministic-vm" }, "on-result")).toBeNull();
  });

  it.each(ENDINGS)(
    "$reason of $driver, $assurance, $terms: $bound",
    ({ reason, driver, assurance, terms, proof, bound, committed, judged }) => {
      const pay = TERMS[reason].pay[terms];
      expect(bound === "unpaid").toBe(pay === "nothing");
      expect(bound === "minimum").toBe(pay === "cancellation");
      // a run by fuel that comes to the same everywhere is paid by what running it again gives
      if (
        pay === "used" &&
        terms === "on-result" &&
        runsAlike(driver, assurance) &&
        !TERMS[reason].byChance &&
        DRIVERS[driver].can.exactLimits
      )
        expect(bound).toBe("re-execution");
      expect(judged).toBe(proof !== null);
      if (pay === "used" && proof !== null) expect(committed).toBe(true);
      if (!runsAlike(driver, assurance)) expect([proof, committed, judged]).toEqual([null, false, false]);
    },
  );

  it("is compared between machines only where the engine itself ends them", () => {
    const machine = { driver: "qemu", assurance: "deterministic-vm" } as const;
    for (const reason of ["memory-limit", "output-limit", "time-limit", "customer-stop", "budget"] as const)
      expect(proofOf(machine, ended(reason)), reason).toBeNull();
    for (const reason of ["completed", "guest-panic"] as const) expect(proofOf(machine, ended(reason))).toBe("own-end");
  });
});

describe("running a job again", () => {
  it("goes to its own end, to the same limit, or to the fuel at which it was stopped", () => {
    const upTo = (result: ReturnType<typeof ended>) => {
      const proof = proofOf(wasm, result);
      return proof && [proof, fuelToRun(proof, result)];
    };
    for (const reason of ["completed", "memory-limit", "output-limit", "module-malformed"] as const)
      expect(upTo(ended(reason)), reason).toEqual(["own-end", null]);
    expect(upTo(ended("fuel-limit", "10"))).toEqual(["fuel-limit", 9n]);
    expect(upTo(ended("budget", "10"))).toEqual(["fuel-limit", 9n]);
    // by interval it is time that the budget pays for
    for (const reason of ["budget", "time-limit", "customer-stop", "owner-stop"] as const)
      expect(upTo(ended(reason)), reason).toEqual(["stated-fuel", 5n]);
    for (const reason of ["server-failed", "vm-crashed", "input-missing", "job-refused"] as const)
      expect(upTo(ended(reason)), reason).toBeNull();
    // what was stopped before it did anything has nothing to show
    expect(upTo(ended("customer-stop", "0"))).toBeNull();
    expect(upTo(ended("module-malformed", "0"))).toEqual(["own-end", null]);
  });

  it("is alike on servers that were paid differently only where no budget ended it", () => {
    expect(RESULT_REASONS.filter((reason) => isAlike(ended(reason)))).toEqual([
      ...["completed", "segment-end", "fuel-limit", "memory-limit", "output-limit", "module-malformed", "guest-panic"],
    ]);
  });
});
