/** Components of WASI 0.2: the module that is a command's program is found in it, and the rest is named for what it is. */
import { describe, expect, it } from "vitest";
import { faultOf, isComponent, programIn } from "@xenoservers/engine/check";
import { assembled } from "./assembled.ts";

const leb = (value: number): number[] => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)]);
const section = (id: number, bytes: Uint8Array | number[]): number[] => [id, ...leb(bytes.length), ...bytes];
const component = (...sections: number[][]): Uint8Array => Uint8Array.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0, ...sections.flat()]);
const core = (text: string): number[] => section(1, assembled(`(module ${text})`));
const exported = (name: string): number[] => section(11, [1, 0, ...leb(name.length), ...Buffer.from(name), 5, 0, 0]);

const MEMORY = '(memory (export "memory") 1)';
const PROGRAM = core(`(import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) ${MEMORY} (func (export "_start"))`);
const ADAPTER = core('(import "wasi:cli/exit@0.2.3" "exit" (func (param i32))) (func (export "proc_exit") (param i32))');
/** Its program's own calls, as of Rust's target. */
const speaks = (version: string): number[] =>
  core(`(import "wasi:random/random@${version}" "get-random-u64" (func (result i64))) ${MEMORY} (func (export "_start"))`);
const SPEAKS_02 = speaks("0.2.3");
const RUN = exported("wasi:cli/run@0.2.3");
/** Types of what is exported, with no code. */
const NAMES_TYPES = section(4, component(section(7, [0])));

describe("a component", () => {
  it.each([
    ["with an adapter", component(PROGRAM, ADAPTER, NAMES_TYPES, RUN)],
    ["with its program behind the adapter", component(ADAPTER, PROGRAM, RUN)],
    ["with sections of the tools that made it", component(section(0, [4, ...Buffer.from("name")]), PROGRAM, ADAPTER, RUN)],
  ])("%s is its program", (_, bytes) => {
    expect(isComponent(bytes)).toBe(true);
    const found = programIn(bytes);
    expect(found.ok && Buffer.from(found.module)).toEqual(Buffer.from(PROGRAM.slice(1 + leb(PROGRAM.length).length)));
    expect(found.ok && faultOf(found.module)).toBeNull();
  });

  it.each([
    [
      "that makes calls of 0.2 itself",
      component(SPEAKS_02, ADAPTER, RUN),
      /makes its calls itself \(wasi:random\/random@0\.2\.3\.get-random-u64\)/,
    ],
    [
      "that makes calls of 0.3 itself",
      component(speaks("0.3.0"), ADAPTER, exported("wasi:cli/run@0.3.0")),
      /makes its calls itself \(wasi:random\/random@0\.3\.0\.get-random-u64\)/,
    ],
    ["put together of several", component(PROGRAM, section(4, component(PROGRAM)), RUN), /put together of several/],
    [
      "put together of several, further down",
      component(PROGRAM, section(4, component(section(4, component(PROGRAM)))), RUN),
      /put together/,
    ],
    ["for a server of requests", component(SPEAKS_02, exported("wasi:http/incoming-handler@0.2.3")), /nothing to run by itself/],
    ["with two programs", component(PROGRAM, PROGRAM, RUN), /several programs/],
    ["without a module", component(RUN), /none that runs here/],
    ["of threads", component(core('(memory (export "memory") 1 1 shared) (func (export "_start"))'), ADAPTER, RUN), /threads/],
    ["that is cut off", component(PROGRAM, RUN).subarray(0, 40), /damaged/],
    ["of a section longer than it", Uint8Array.from([...component(), 1, 0xff, 0xff, 0x03]), /damaged/],
    ["with a size that is none", Uint8Array.from([...component(), 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), /damaged/],
    ["with a thousand modules", component(...Array.from({ length: 1_000 }, () => ADAPTER), RUN), /damaged/],
  ])("%s is named for what it is, with the way out", (_, bytes, said) => {
    const found = programIn(bytes);
    expect(found.ok ? "" : found.why).toMatch(said);
    expect(found.ok ? "" : found.why).toMatch(/^it is a component \(WASI 0\.2 or later\) .*: build for wasm32-wasip1$/);
  });
});
