/** What people have that is called .wasm: what runs of it runs, and the rest is named for what it is, with the way out. */
import { describe, expect, it } from "vitest";
import { prepareModule, runJob, type Finished } from "@xenoservers/engine";
import { faultOf } from "@xenoservers/engine/check";
import { assembled } from "./assembled.ts";
import { compiled, jobOf } from "./traced.ts";

function run(text: string): Finished & { stdout: string } {
  const prepared = prepareModule(assembled(text));
  if (!prepared.ok) throw new Error(prepared.message);
  const out: Uint8Array[] = [];
  return { ...runJob(jobOf(compiled(prepared.bytes), out)), stdout: Buffer.concat(out).toString() };
}
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const START = '(memory (export "memory") 1) (func (export "_start"))';
const ALONE = '(func (export "_start"))';
const module = (fields: string): Uint8Array => assembled(`(module ${fields})`);
const importing = (from: string, name: string): Uint8Array => module(`(import "${from}" "${name}" (func)) ${START}`);
/** As a library's module says of itself (tool-conventions, DynamicLinking.md), second and first edition. */
const DYLINK = bytes("000f 08 64796c696e6b2e30 010400000000");
const DYLINK_FIRST = bytes("000b 06 64796c696e6b 00000000");
const says = (section: Uint8Array, of: Uint8Array): Uint8Array => Uint8Array.of(...of.subarray(0, 8), ...section, ...of.subarray(8));
/** Its memory is the host's. */
const LIBRARY = module('(import "env" "memory" (memory 1)) (func (export "f"))');

/** A command of these instructions, which no assembler of ours knows; its memory and its table are of these kinds. */
const holding = (code: string, memory = "0001", table = "700001"): Uint8Array => {
  const body = bytes(`00${code}0b`);
  const section = (id: number, content: Uint8Array): Uint8Array => Uint8Array.of(id, content.length, ...content);
  const fields = [
    section(1, bytes("01600000")),
    section(3, bytes("0100")),
    section(4, bytes(`01${table}`)),
    section(5, bytes(`01${memory}`)),
    section(7, Uint8Array.of(2, 6, ...Buffer.from("memory"), 2, 0, 6, ...Buffer.from("_start"), 0, 0)),
    section(10, Uint8Array.of(1, body.length, ...body)),
  ];
  return Uint8Array.of(...bytes("0061736d01000000"), ...fields.flatMap((field) => [...field]));
};

/** As it comes, and what must stand in the answer: of which kind it is, and what to do. */
const OTHERS: readonly (readonly [what: string, bytes: Uint8Array, said: RegExp])[] = [
  ["a component", bytes("0061736d 0d000100"), /component \(WASI 0\.2 or later\).*wasm32-wasip1/],
  ["a version that is none", bytes("0061736d 02000000"), /another version than 1/],
  ["text", new TextEncoder().encode('(module (func (export "_start")))'), /text.*wat2wasm/],
  ["a program for Linux", bytes("7f454c46 02010100"), /Linux.*image/],
  ["a compressed module", bytes("1f8b0800 00000000"), /compressed/],
  ["an object that is not linked", bytes("4243c0de 35140000"), /not linked/],
  ["nothing", new Uint8Array(), /empty/],
  ["a page", new TextEncoder().encode("<!doctype html>"), /no WebAssembly/],
  ["memory64", module('(memory (export "memory") i64 1) (func (export "_start"))'), /64-bit memory.*wasm32/],
  ["threads", module('(memory (export "memory") 1 1 shared) (func (export "_start"))'), /threads/],
  ["threads whose memory is the host's", module(`(import "env" "memory" (memory 1 1 shared)) ${ALONE}`), /shared memory.*threads/],
  ["a 64-bit memory of the host's", module(`(import "env" "memory" (memory i64 1)) ${ALONE}`), /64-bit memory.*wasm32/],
  ["a memory of the host's", module(`(import "env" "memory" (memory 1)) ${ALONE}`), /env\.memory.*a host of its own/],
  ["a library for a running program", says(DYLINK, LIBRARY), /env\.memory.*library.*into a command/],
  ["one of the first edition", says(DYLINK_FIRST, LIBRARY), /env\.memory.*library.*into a command/],
  ["an addon for Node", importing("env", "napi_create_string_utf8"), /addon for Node.*wasm32-wasip1/],
  [
    "an addon for Node that is built with threads",
    module(`(import "env" "memory" (memory 1 1 shared)) (import "env" "napi_create_function" (func)) ${ALONE}`),
    /shared memory of an addon for Node.*threads.*wasm32-wasip1/,
  ],
  ["an addon for Node with its names apart", importing("napi", "napi_create_function"), /addon for Node.*wasm32-wasip1/],
  ["a library of .NET", importing("webcil", "load"), /\.NET.*wasm32-wasip1/],
  [".NET in a browser", importing("env", "mono_wasm_invoke_js_function"), /\.NET's build for a browser.*wasm32-wasip1/],
  [".NET in a browser, ahead of time", importing("env", "SystemInteropJS_InvokeJSImportST"), /\.NET's build for a browser.*wasm32-wasip1/],
  ["an old TinyGo's", importing("env", "syscall/js.valueGet"), /Go's build for a browser.*GOOS=wasip1/],
  ["Swift's for a browser", importing("javascript_kit", "swjs_get_prop"), /Swift's.*JavaScriptKit.*without it/],
  ["Ruby's for JavaScript", importing("rb-js-abi-host", "rb_wasm_throw_prohibit_rewind_exception"), /Ruby.*gem js.*image/],
  ["half of Javy's", importing("javy_quickjs_provider_v3", "invoke"), /Javy.*dynamic=n/],
  ["MoonBit's", importing("spectest", "print_char"), /MoonBit's own host.*WASI/],
  ["a plug-in of Extism", importing("extism:host/env", "input_length"), /Extism.*as a command/],
  ["a filter for a proxy", importing("env", "proxy_log"), /Proxy-Wasm.*as a command/],
  ["WASI-NN", importing("wasi_ephemeral_nn", "load"), /WASI-NN.*without it/],
  [
    "AssemblyScript's for a browser",
    module(`(import "env" "abort" (func (param i32 i32 i32 i32))) ${START}`),
    /AssemblyScript's.*@assemblyscript\/wasi-shim/,
  ],
  ["what else is called abort", importing("env", "abort"), /a host of its own.*wasi-sdk/],
  ["a 64-bit table", holding("", "0001", "70 04 01"), /64-bit table.*wasm32/],
  ["a table that is shared", holding("", "0001", "70 03 01 01"), /shared table.*threads/],
  ["stack switching, by its instructions", holding("e000"), /stack-switching instruction 0xe0.*--asyncify/],
  ["stack switching, by its types", bytes("0061736d 01000000 0105 02 600000 5d00"), /type form 0x5d of stack switching.*--asyncify/],
  ["stack switching, by its values", bytes("0061736d 01000000 0105 01 60 01 68 00"), /value type 0x68 of stack switching.*--asyncify/],
  ["garbage collection", bytes("0061736d 01000000 0103015f00"), /garbage collection/],
  ["Go's build for a browser", importing("gojs", "runtime.wasmExit"), /Go's build for a browser.*GOOS=wasip1/],
  ["wasm-bindgen's", importing("__wbindgen_placeholder__", "__wbindgen_throw"), /wasm-bindgen/],
  [
    "wasm-bindgen's of late, with a file beside it",
    importing("./ruff_wasm_bg.js", "__wbg_next_8cb028b6ba50743f"),
    /wasm-bindgen.*wasm32-wasip1/,
  ],
  ["WasmEdge's, with its sockets", importing("wasi_snapshot_preview1", "sock_open"), /no function of WASI preview 1.*WasmEdge.*without it/],
  ["exceptions by way of Emscripten's JavaScript", importing("env", "invoke_iii"), /Emscripten's JavaScript.*-fwasm-exceptions/],
  [
    "setjmp by way of an older Emscripten's host",
    importing("env", "getTempRet0"),
    /longjmp.*-sSUPPORT_LONGJMP=wasm, of an Emscripten of 2023/,
  ],
  ["what is done at the end by an older Emscripten's host", importing("env", "__cxa_atexit"), /a host of its own.*-sSTANDALONE_WASM/],
  [
    "a notice of another type",
    module(`(import "env" "emscripten_notify_memory_growth" (func (param i64))) ${START}`),
    /emscripten_notify_memory_growth as a function of another type/,
  ],
  ["Emscripten's", importing("env", "emscripten_resize_heap"), /wasi-sdk/],
  ["another host's", importing("its-own-host", "eval-js"), /a host of its own.*wasi_snapshot_preview1 alone/],
  ["a library", module('(memory (export "memory") 1) (func (export "add"))'), /library/],
  [
    "a reactor that wants values",
    module('(memory (export "memory") 1) (func (export "_initialize") (param i32))'),
    /_initialize that takes/,
  ],
  ["pages of another size", holding("", "080100"), /pages of its own size.*--page-size/],
  ["wide arithmetic", holding("42014201fc161a1a"), /wide-arithmetic instruction 0xfc 0x16.*-mno-wide-arithmetic/],
  ["vectors of halves", holding("4300000000fda0021a"), /half-precision instruction 0xfd 0x120.*-mno-fp16/],
  ["a half in memory", holding("4100fc3001001a"), /half-precision instruction 0xfc 0x30.*-mno-fp16/],
  ["relaxed vectors", holding("4100fd0f4100fd0ffd80021a"), /relaxed SIMD instruction 0xfd 0x100.*-mno-relaxed-simd/],
  ["atomic instructions", holding("fe0300"), /atomic instruction.*-matomics/],
  ["a start of a type that is not there", holding("").map((byte, i) => (i === 17 ? 9 : byte)), /type 9 .*malformed/],
  ["an exported start without memory", module('(func (export "_start"))'), /memory/],
];

describe("what is no module of ours", () => {
  it.each(OTHERS)("%s is named, for the customer and by the server alike", (_what, given, said) => {
    const prepared = prepareModule(given);
    expect(prepared.ok ? "" : prepared.message).toMatch(said);
    expect(faultOf(given)).toMatch(said);
  });

  it("is nothing where a module runs", () => expect(faultOf(module(START))).toBeNull());
});

it.each([DYLINK, DYLINK_FIRST])("refuses nothing for what a custom section says: it was taken before, and changes nothing", (section) => {
  const prepared = prepareModule(says(section, module(START)));
  expect(prepared).toMatchObject({ ok: true });
});

it("runs what sets a reactor up, and not where there is a command", () => {
  const body = "i32.const 3 i32.const 4 i32.store";
  const [set, other] = ["_initialize", "_start"].map((name) =>
    run(`(module (memory (export "memory") 1) (func (export "${name}") ${body}))`),
  );
  expect(set).toMatchObject({ ending: { kind: "exit", code: 0 } });
  expect(set!.memoryHash).toEqual(other!.memoryHash);
  const both = run(`(module (memory (export "memory") 1) (func (export "_initialize") unreachable) (func (export "_start") ${body}))`);
  expect(both.memoryHash).toEqual(other!.memoryHash);
});

it("runs what tells its host that its memory has grown, as Emscripten's modules do", () => {
  const growing = run(`(module
    (import "env" "emscripten_notify_memory_growth" (func $notify (param i32)))
    (memory (export "memory") 1 3)
    (func (export "_start")
      (drop (memory.grow (i32.const 1)))
      (call $notify (i32.const 0))
      (i32.store (i32.const 65536) (memory.size))))`);
  expect(growing).toMatchObject({ ending: { kind: "exit", code: 0 }, memoryBytes: 2 * 65536 });
  expect(growing.fuel).toBeGreaterThan(200n);
});

it("runs code that takes references of what an export alone declares, an import among it", () => {
  const taking = `(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (table $t 2 funcref)
    (func (export "seven") (result i32) (i32.const 7))
    (export "leave" (func $exit))
    (func (export "_start")
      (table.set $t (i32.const 0) (ref.func 1))
      (table.set $t (i32.const 1) (ref.func $exit))
      (drop (ref.func 2))
      (call_indirect $t (param i32) (call_indirect $t (result i32) (i32.const 0)) (i32.const 1))))`;
  expect(run(taking).ending).toMatchObject({ code: 7 });
});

describe("snapshot 0", () => {
  /** Prints so many bytes of what lies at an address, of the file `there` (10 bytes) in the first folder; fails with the errno. */
  const program = (body: string, length: number): string => `(module
    (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_unstable" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_unstable" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
    (import "wasi_unstable" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_unstable" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_unstable" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 16) "there")
    (func $must (param i32) local.get 0 if local.get 0 call $exit end)
    (func (export "_start") (local $fd i32)
      (call $must (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 8)))
      (local.set $fd (i32.load (i32.const 8)))
      ${body}
      (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const ${length}))
      (call $must (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;
  const seek = (delta: number, whence: number): string =>
    `(call $must (call $seek (local.get $fd) (i64.const ${delta}) (i32.const ${whence}) (i32.const 1024)))`;

  it.each([
    ["from the current place", `${seek(3, 0)} ${seek(2, 0)}`, 5],
    ["from the end", seek(-4, 1), 6],
    ["from the beginning", `${seek(9, 0)} ${seek(7, 2)}`, 7],
  ])("seeks %s by its own numbers", (_what, body, expected) => {
    const { ending, stdout } = run(program(body, 1));
    expect([ending, stdout.codePointAt(0)]).toEqual([{ kind: "exit", code: 0 }, expected]);
  });

  it("has its own shorter filestat", () => {
    // the size stands at 24, the links in four bytes at 20, and nothing behind 56
    const mark = "(i64.store (i32.const 1080) (i64.const -1))";
    const { stdout } = run(program(`${mark} (call $must (call $stat (local.get $fd) (i32.const 1024)))`, 64));
    const at = Buffer.from(stdout, "utf8");
    expect(at.length).toBeGreaterThan(0);
    const { ending } = run(
      program(
        `${mark} (call $must (call $stat (local.get $fd) (i32.const 1024)))
         (call $must (i32.ne (i32.load (i32.const 1044)) (i32.const 1)))
         (call $must (i64.ne (i64.load (i32.const 1048)) (i64.const 10)))
         (call $must (i64.ne (i64.load (i32.const 1080)) (i64.const -1)))`,
        1,
      ),
    );
    expect(ending).toEqual({ kind: "exit", code: 0 });
  });

  it("waits for the clock that stands behind its identifier", () => {
    const second = "1000000000";
    const { ending } = run(
      program(
        `(call $must (call $time (i32.const 1) (i64.const 0) (i32.const 200)))
         (i64.store (i32.const 512) (i64.const 77)) (i64.store (i32.const 528) (i64.const 99))
         (i32.store (i32.const 536) (i32.const 1)) (i64.store (i32.const 544) (i64.const ${second}))
         (call $must (call $poll (i32.const 512) (i32.const 700) (i32.const 1) (i32.const 8)))
         (call $must (i64.ne (i64.load (i32.const 700)) (i64.const 77)))
         (call $must (call $time (i32.const 1) (i64.const 0) (i32.const 208)))
         (call $must (i64.lt_u (i64.sub (i64.load (i32.const 208)) (i64.load (i32.const 200))) (i64.const ${second})))`,
        1,
      ),
    );
    expect(ending).toEqual({ kind: "exit", code: 0 });
  });
});
