import { expect, it } from "vitest";
import { linesIn, runInputOf, type Form } from "./program.ts";

const FORM: Form = { program: { kind: "python", text: "print(1)" }, args: "", stdin: "", budget: " 0.50 ", maxTime: "", label: " " };

it("becomes what the SDK runs, without what was left empty", () => {
  expect(runInputOf(FORM)).toEqual({ python: { source: "print(1)" }, args: [], stdin: "", budget: "0.50" });
  expect(runInputOf({ ...FORM, args: "a\nb c\n", maxTime: "10m", label: "mine" })).toMatchObject({
    args: ["a", "b c"],
    maxTime: "10m",
    label: "mine",
  });
  const bytes = new Uint8Array([1]);
  expect(runInputOf({ ...FORM, program: { kind: "module", bytes } })).toMatchObject({ module: bytes });
});

it("says what is missing", () => {
  expect(() => runInputOf({ ...FORM, program: { kind: "python", text: " \n" } })).toThrow(/script is empty/);
  expect(() => runInputOf({ ...FORM, program: { kind: "module", bytes: new Uint8Array() } })).toThrow(/choose a \.wasm/);
});

it("has an argument a line, an empty one between two", () => {
  expect([linesIn(""), linesIn("a"), linesIn("a\n\nb\n")]).toEqual([[], ["a"], ["a", "", "b"]]);
});
