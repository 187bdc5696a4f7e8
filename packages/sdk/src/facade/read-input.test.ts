import { describe, expect, it } from "vitest";
import { InputError } from "../errors.ts";
import { assertRunInput, toldHere, workOptionsOf, waitMsOf } from "./read-input.ts";
import type { RunInput } from "./run-input.ts";

const script = { python: "x.py" };

describe("a run as it is asked for", () => {
  it.each<[object, RegExp]>([
    [{}, /say what to run by one of python, module, image/],
    [{ python: "a.py", module: "b.wasm" }, /here are python and module/],
    [{ ...script, budjet: "1" }, /^'budjet' is nothing that a run takes$/],
    [{ ...script, __proto__: null, toString: "x" }, /^'toString' is nothing/],
    [{ ...script, args: "one" }, /args must be a list of texts/],
    [{ ...script, args: ["a\0b"] }, /args must be/],
    [{ ...script, env: { A: 1 } }, /env must be texts by name/],
    [{ ...script, env: { "A=B": "1" } }, /'A=B' is no name of a variable/],
    [{ ...script, files: { a: 5 } }, /files must be contents by name/],
    [{ ...script, files: ["a"] }, /files must be contents by name/],
    [{ ...script, budget: 1 }, /budget must be an amount/],
    [{ ...script, budget: -1n }, /budget must be an amount/],
    [{ ...script, budget: 0n }, /^budget must be an amount above 0/],
    [{ ...script, budget: "0.00" }, /^budget must be an amount above 0/],
    [{ ...script, budget: "much" }, /budget 'much' is not an amount/],
    [{ ...script, maxTime: "soon" }, /maxTime 'soon' is not a duration/],
    [{ ...script, maxTime: 1.5 }, /maxTime must be a duration/],
    [{ ...script, wait: true }, /wait must be a duration/],
    [{ ...script, wait: 10 }, /wait '10' must be from a second to a day/],
    [{ ...script, wait: "25h" }, /wait '25h' must be/],
    [{ ...script, maxFuel: 0 }, /maxFuel '0' must be a number from 1/],
    [{ ...script, cpu: "2" }, /cpu must be a whole number/],
    [{ ...script, assurance: "trusted" }, /assurance must be one of isolated/],
    [{ ...script, where: "mem>>2" }, /^where: /],
    [{ ...script, signal: {} }, /signal must be an AbortSignal/],
    [{ ...script, uefi: "yes" }, /uefi must be true or false/],
  ])("%o is refused", (input, says) => {
    const read = (): void => {
      assertRunInput(input as RunInput);
      waitMsOf(input as RunInput);
      workOptionsOf(input as RunInput);
    };
    expect(read).toThrow(InputError);
    expect(read).toThrow(says);
  });

  it.each([null, undefined, 5, "hello.py", [script]])("%j is refused", (input) => {
    expect(() => assertRunInput(input as unknown as RunInput)).toThrow(/say what to run: market\.run/);
  });

  it("is what the command line would make of the same words", () => {
    const input: RunInput = { ...script, args: ["a"], env: { A: "b=c" }, budget: "0.50", maxTime: "10m", where: "mem>=2G", maxFee: "2.5%" };
    assertRunInput(input);
    expect(workOptionsOf(input)).toMatchObject({
      ...{ file: "x.py", args: ["a"], env: ["A=b=c"], budget: 500_000_000n, maxTime: 600_000, maxFee: 250, cpu: "1", on: "market" },
      where: [{ key: "mem", op: ">=", value: "2G" }],
    });
  });

  it("is told in this library's words, not in those of the command line", () => {
    expect(() => toldHere(new InputError("order more (--max-output), or --mem 1G"))).toThrow("order more (maxOutput), or mem 1G");
    const own = new TypeError("own");
    expect(() => toldHere(own)).toThrow(own);
  });
});
