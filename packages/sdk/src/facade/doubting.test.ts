import { describe, expect, it } from "vitest";
import { InputError } from "../errors.ts";
import { disputeLease, type DisputeOptions, type Doubting } from "./doubting.ts";

/** Whatever is asked of the market or of this machine fails the test: what is handed in is looked at before. */
const nobody = new Proxy(
  {},
  {
    get(_, name) {
      throw new Error(`${String(name)} was asked for`);
    },
  },
) as Doubting["client"] & Doubting["here"];
const dispute = (id: unknown, options: object) =>
  disputeLease({ client: nobody, here: nobody }, id as string, options as DisputeOptions, null);

describe("what a program hands in to dispute a lease", () => {
  it.each<[string, unknown, object, string]>([
    ["a lease that is no text", 7, {}, "lease must be a lease's id"],
    ["no lease", undefined, {}, "lease must be a lease's id"],
    ["a budget of nothing", "ab", { budget: 0n }, "budget must be an amount above 0"],
    ["a budget of nothing in words", "ab", { budget: "0" }, "budget must be an amount above 0"],
    ["a budget below nothing", "ab", { budget: -1n }, "budget must be an amount above 0"],
    ["a budget as a number", "ab", { budget: 0.5 }, "budget must be an amount above 0"],
    ["a budget that is no amount", "ab", { budget: "much" }, "budget"],
    ["terms that cannot be told", "ab", { onTerms: "yes" }, "onTerms must be a function"],
    ["a signal that is none", "ab", { signal: { aborted: false } }, "signal must be an AbortSignal"],
  ])("is refused in words where it is %s, and nothing is asked of anybody", async (_, id, options, words) => {
    const error: unknown = await dispute(id, options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ message: expect.stringContaining(words) });
  });

  it("is called off before anything is asked where its signal was", async () => {
    await expect(dispute("ab", { budget: "0.50", signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted", money: "none" });
  });
});
