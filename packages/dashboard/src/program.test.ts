import { describe, expect, it } from "vitest";
import { assertHolds, runsOf, type Form } from "./program.ts";

const form: Form = {
  ...{ program: { kind: "python", text: "print(1)" }, args: "", stdin: "", budget: " 1.00 ", maxTime: "", label: "" },
  ...{ files: [], isEach: false },
};
const file = (name: string, size = 1) => ({ name, bytes: new Uint8Array(size) });

describe("one run", () => {
  it("leaves out what was left empty, and keeps what was typed", () => {
    expect(runsOf(form)).toEqual([{ name: "", input: { python: { source: "print(1)" }, args: [], stdin: "", budget: "1.00" } }]);
    const full = { ...form, args: "a\n two words\n\n--x\n", stdin: " in ", maxTime: " 5m ", label: " l " };
    expect(runsOf(full)[0].input).toMatchObject({ args: ["a", " two words", "", "--x"], stdin: " in ", maxTime: "5m", label: "l" });
    const module = new Uint8Array([1]);
    expect(runsOf({ ...form, program: { kind: "module", bytes: module } })[0].input).toMatchObject({ module });
  });

  it("has all files by their names", () => {
    const [a, b] = [file("a.csv"), file("b.csv")];
    expect(runsOf({ ...form, files: [a, b] })).toMatchObject([{ input: { args: [], files: { "a.csv": a.bytes, "b.csv": b.bytes } } }]);
  });
});

describe("a run for each file", () => {
  it("has its file alone, its path among the arguments, and its share of the budget, of which no more than all is asked for", () => {
    const files = [file("a.csv"), file("b.csv"), file("c d.csv")];
    const runs = runsOf({ ...form, files, isEach: true, args: "--in\nx={}" });
    expect(runs.map(({ name, input }) => [name, input.args, Object.keys(input.files ?? {}), input.budget])).toEqual([
      ["a.csv", ["--in", "x=/in/a.csv"], ["a.csv"], 333_333_333n],
      ["b.csv", ["--in", "x=/in/b.csv"], ["b.csv"], 333_333_333n],
      ["c d.csv", ["--in", "x=/in/c d.csv"], ["c d.csv"], 333_333_333n],
    ]);
    expect(runsOf({ ...form, files: [file("$&.csv")], isEach: true, args: "{}" })[0].input.args).toEqual(["/in/$&.csv"]);
    expect(runsOf({ ...form, files, isEach: true })[1]?.input.args).toEqual(["/in/b.csv"]);
  });
});

it("is no more than a page holds, and of no two files of one name: said before a byte is read", () => {
  const most = 32 * 1024 * 1024;
  expect(() => assertHolds([{ name: "a", size: most }])).not.toThrow();
  for (const [files, says] of [
    [["a", "b"].map((name) => ({ name, size: most / 2 + 1 })), /have 33554434 bytes: a page takes 33554432; xeno run --in/],
    [["a", "b", "a"].map((name) => ({ name, size: 1 })), /two of the files are called a/],
  ] as const)
    expect(() => assertHolds(files)).toThrow(expect.objectContaining({ code: "bad_input", message: expect.stringMatching(says) }));
});

describe("what cannot run", () => {
  it.each<[Partial<Form>, RegExp]>([
    [{ program: { kind: "python", text: " \n" } }, /the script is empty/],
    [{ program: { kind: "module", bytes: new Uint8Array() } }, /choose a \.wasm file/],
    [{ isEach: true }, /choose the files that it is to run for/],
    [{ isEach: true, files: Array.from({ length: 65 }, (_, i) => file(String(i))) }, /65 files: a page runs for 64 at most; xeno map/],
    [{ isEach: true, files: [file("a")], budget: "much" }, /the budget 'much' is not an amount/],
  ])("is said before anything is asked: %#", (wrong, says) => {
    expect(() => runsOf({ ...form, ...wrong })).toThrow(
      expect.objectContaining({ code: "bad_input", message: expect.stringMatching(says) }),
    );
  });
});
