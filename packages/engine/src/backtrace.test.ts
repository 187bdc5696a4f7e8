/** Traces as the platform writes them, of modules whose names others made. */
import { describe, expect, it } from "vitest";
import { backtraceOf } from "./backtrace.ts";

const OWN = { from: 10, to: 100, added: 1 };
const traced = (...names: readonly (string | null)[]): string => {
  const lines = names.map((name, i) => {
    const place = `wasm://wasm/0040b096:wasm-function[${i + 10}]:0xc47`;
    return name === null ? `    at ${place}` : `    at ${name} (${place})`;
  });
  return backtraceOf(
    Object.assign(new Error("x"), { stack: ["RuntimeError: unreachable", ...lines, "    at run (file:///run.ts:1:2)"].join("\n") }),
    OWN,
  );
};
const legacy = (...parts: string[]): string => `_ZN${parts.map((part) => `${part.length}${part}`).join("")}17h0123456789abcdefE`;
const MACHINERY = ["__rust_start_panic", "rust_panic", legacy("std", "panicking", "rust_panic_with_hook")];
const [END, BEGIN] = ["end", "begin"].map((which) => legacy("std", "sys_common", "backtrace", `__rust_${which}_short_backtrace`)) as [
  string,
  string,
];

describe("a backtrace", () => {
  it("has each function by its name, or by its number", () => {
    expect(traced("divide", null, "_start")).toBe(" in divide, called by function 10, called by _start");
    expect(backtraceOf(new Error("x"), OWN)).toBe("");
  });

  it("has Rust's names as they were written", () => {
    expect(traced(legacy("t", "inner"), "_RNvMNtCs1_1t1mNtB2_1C2go", "main")).toMatch(/^ in t::inner, called by .*, called by main$/);
    expect(traced("_RINvC1t5innermE")).toBe(" in t::inner::<u32>");
  });

  it("leaves out of a panic what Rust leaves out: its machinery and its start", () => {
    const names = [...MACHINERY, END, "rust_begin_unwind", legacy("t", "inner"), legacy("t", "main"), BEGIN, "_start"];
    expect(traced(...names)).toBe(" in rust_begin_unwind, called by t::inner, called by t::main");
    // of a trap that is no panic all is shown, as where nothing would be left
    expect(traced(legacy("t", "main"), BEGIN)).toBe(" in t::main, called by std::sys_common::backtrace::__rust_begin_short_backtrace");
    expect(traced("rust_panic", END)).toContain("in rust_panic, called by");
  });

  it("is as long as eight short names, whatever those of the module are", () => {
    expect(traced(...Array.from({ length: 12 }, (_, i) => `f${i}`)).split(", called by ")).toHaveLength(8);
    const long = "x".repeat(1_000_000);
    expect(traced(long, "main")).toBe(` in ${"x".repeat(120)}…, called by main`);
    expect(traced(`${"x".repeat(119)}😀`, "main")).toMatch(/^ in x{119}\uFFFD…, called by main$/);
  });
});
