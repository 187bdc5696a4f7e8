import { describe, expect, it } from "vitest";
import type { MarketClient } from "../client.ts";
import { InputError } from "../errors.ts";
import { appeal, type AppealOptions } from "./appeal.ts";

/** Whatever is asked of the market fails the test: what is handed in is looked at before. */
const nobody = new Proxy(
  {},
  {
    get(_, name) {
      throw new Error(`${String(name)} was asked for`);
    },
  },
) as MarketClient;
const work = () => Promise.reject(new Error("the job was asked for"));
const appealed = (id: unknown, options: object) => appeal(nobody, id as string, options as AppealOptions);

describe("what a program hands in to appeal against a verdict", () => {
  it.each<[string, unknown, object, string]>([
    ["a lease that is no text", 7, { work }, "lease must be a lease's id"],
    ["no job", "ab", {}, "work must be a function"],
    ["a job that cannot be asked for", "ab", { work: {} }, "work must be a function"],
    ["states that cannot be asked for", "ab", { work, trace: true }, "trace must be a function"],
    ["a budget as a number", "ab", { work, budget: 0.5 }, "budget must be an amount above 0"],
    ["a budget that is no amount", "ab", { work, budget: "much" }, "budget"],
    ["terms that cannot be told", "ab", { work, onTerms: "yes" }, "onTerms must be a function"],
    ["a signal that is none", "ab", { work, signal: { aborted: false } }, "signal must be an AbortSignal"],
  ])("is refused in words where it is %s, and nothing is asked of anybody", async (_, id, options, words) => {
    const error: unknown = await appealed(id, options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ message: expect.stringContaining(words) });
  });

  it("is called off before anything is asked where its signal was", async () => {
    await expect(appealed("ab", { work, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted", money: "none" });
  });
});
