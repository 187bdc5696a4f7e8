/** What a file is that is no module of the kind that runs, said by its first bytes, with the way out. Who made the file: the customer. */

const MAGIC = [0x00, 0x61, 0x73, 0x6d] as const;
const CORE = [0x01, 0x00, 0x00, 0x00] as const;
/** Layer 1: core modules are layer 0 (component-model, Binary.md). */
const COMPONENT_LAYER = 1;
const BUILD = "build for wasm32-wasip1";

const begins = (bytes: Uint8Array, with_: readonly number[], at = 0): boolean => with_.every((byte, i) => bytes[at + i] === byte);
const text = (value: string): number[] => [...value].map((character) => character.codePointAt(0)!);

export const isComponent = (bytes: Uint8Array): boolean =>
  begins(bytes, MAGIC) && !begins(bytes, CORE, MAGIC.length) && bytes[6] === COMPONENT_LAYER;

/** Null where it begins as a core module does. */
export function otherKindOf(bytes: Uint8Array): string | null {
  if (bytes.length === 0) return "it is empty";
  if (begins(bytes, MAGIC)) {
    if (begins(bytes, CORE, MAGIC.length)) return null;
    if (isComponent(bytes)) return `it is a component (WASI 0.2 or later), and core modules run here: ${BUILD}`;
    return `it is WebAssembly of another version than 1: ${BUILD}`;
  }
  if (begins(bytes, text("(module")) || begins(bytes, text(";;"))) return "it is WebAssembly as text: assemble it first (wat2wasm)";
  if (begins(bytes, text("\u007fELF"))) return `it is a program for Linux: ${BUILD}, or run it in a machine or an image`;
  if (begins(bytes, [0x1f, 0x8b]) || begins(bytes, [0x28, 0xb5, 0x2f, 0xfd])) return "it is compressed: unpack it first";
  if (begins(bytes, [0x42, 0x43, 0xc0, 0xde])) return `it is LLVM's own code, not linked yet: ${BUILD}`;
  return "it is no WebAssembly: a module begins with 00 61 73 6d";
}

/** Emscripten's exceptions and setjmp by way of its JavaScript; until 2022 those of WebAssembly passed a value through that, too. */
const THROWN_IN_JAVASCRIPT =
  "it has exceptions or longjmp by way of Emscripten's JavaScript: build with emcc -fwasm-exceptions -sSUPPORT_LONGJMP=wasm";

const A_HOST = "it needs a host of its own, such as Emscripten's: build with wasi-sdk, or emcc -sSTANDALONE_WASM";

const GO = "it is Go's build for a browser: build with GOOS=wasip1 GOARCH=wasm";
const DOTNET = `it is .NET's build for a browser: ${BUILD} (the workload wasi-experimental of .NET 8), or run it in an image`;
const MOONBIT = `it needs MoonBit's own host (moonrun): ${BUILD}, printing by way of WASI`;
/** AssemblyScript's name for a failed assertion: message, file, line and column. Emscripten's of that name takes nothing. */
const ABORTED = "env.abort(iiii)";
const ASSEMBLYSCRIPT = "it is AssemblyScript's build for a browser: build with @assemblyscript/wasi-shim";

/** What to do where a module imports from here; what is not listed is a host's own. */
const BUILT_FOR: readonly (readonly [prefix: string, what: string])[] = [
  ["gojs.", GO],
  ["go.", GO],
  ["wasi:", `its imports are of WASI 0.2: ${BUILD}`],
  ["wasi.thread-spawn", "threads are not deterministic; build without them, for wasm32-wasip1"],
  ["wasix_", `WASIX has calls beyond WASI's: ${BUILD}`],
  ["env.napi_", `it is an addon for Node: ${BUILD}, as a command`],
  ["napi.", `it is an addon for Node: ${BUILD}, as a command`],
  ["webcil.", `it is a library of .NET in a wrapping for browsers: ${BUILD}, as a command`],
  ["env.mono_wasm_", DOTNET],
  ["env.SystemJS_", DOTNET],
  ["env.SystemInteropJS_", DOTNET],
  // TinyGo's until 2021
  ["env.runtime.", GO],
  ["env.syscall/js.", GO],
  ["javascript_kit.", `it is Swift's build for a browser (JavaScriptKit): ${BUILD} without it`],
  [
    "rb-js-abi-host.",
    `it is Ruby with its library for JavaScript (the gem js): build it without that (rbwasm), or run the script in an image`,
  ],
  ["javy", "it is one half of what Javy makes, and imports the other: build the whole (javy build -C dynamic=n)"],
  ["spectest.", MOONBIT],
  ["__moonbit_", MOONBIT],
  ["moonbit:", MOONBIT],
  ["extism:host/", `it is a plug-in of Extism: ${BUILD}, as a command`],
  ["env.proxy_", `it is a filter for a proxy (Proxy-Wasm): ${BUILD}, as a command`],
  ["wasi_nn.", `WASI-NN runs models on hardware, which is not deterministic: ${BUILD} without it`],
  ["wasi_ephemeral_nn.", `WASI-NN runs models on hardware, which is not deterministic: ${BUILD} without it`],
  ["a.", "it is Emscripten's build for a browser: build with wasi-sdk, or emcc -sSTANDALONE_WASM"],
  ["env.invoke_", THROWN_IN_JAVASCRIPT],
  // what is done as it ends, which throws nothing
  ["env.__cxa_atexit", A_HOST],
  ["env.__cxa_thread_atexit", A_HOST],
  ["env.__cxa_", THROWN_IN_JAVASCRIPT],
  ["env.__resumeException", THROWN_IN_JAVASCRIPT],
  ["env.llvm_eh_typeid_for", THROWN_IN_JAVASCRIPT],
  ["env._emscripten_throw_longjmp", THROWN_IN_JAVASCRIPT],
  ["env.emscripten_longjmp", THROWN_IN_JAVASCRIPT],
  ["env.getTempRet0", `${THROWN_IN_JAVASCRIPT}, of an Emscripten of 2023 or later`],
  ["env.setTempRet0", `${THROWN_IN_JAVASCRIPT}, of an Emscripten of 2023 or later`],
  ["env.", A_HOST],
];

/** Its functions, whose module is one of its own or, since it writes such, a file beside it. */
const OF_BINDGEN = /^wbg\.|(?:^|\.)__wb(?:g|indgen)_/;
const OF_WASI = /^wasi_(snapshot_preview1|unstable)\./;

/** `params`: a letter each, as `i` for i32. */
export const wayOut = (imported: string, params = ""): string =>
  (`${imported}(${params})` === ABORTED ? ASSEMBLYSCRIPT : null) ??
  (OF_BINDGEN.test(imported) ? "it is wasm-bindgen's build for a browser: build with --target wasm32-wasip1" : null) ??
  BUILT_FOR.find(([prefix]) => imported.startsWith(prefix))?.[1] ??
  (OF_WASI.test(imported)
    ? `it is no function of WASI preview 1, but one that some hosts add (WasmEdge, WAMR, lunatic): ${BUILD} without it`
    : "it needs a host of its own that offers this: build it as a command that imports from wasi_snapshot_preview1 alone");
