/** Jobs for tests: Python where the point is Python, else small modules that start at once. */
import wabtInit from "wabt";
import { ENGINE_VERSION, pythonRuntime } from "@xenoservers/guests";
import { buildJob, bytesBlob, fileBlob, type JobInput } from "@xenoservers/sdk";

const OUT: JobInput["mounts"][number] = { mount: { path: "/out", writable: true, keep: true }, entries: [] };
const small = {
  env: [],
  stdin: bytesBlob(new Uint8Array()),
  engine: ENGINE_VERSION,
  memoryMibMax: 256,
  diskMibMax: 64,
  outputMibMax: 4,
  fuelMax: 10n ** 15n,
};

let python: ReturnType<typeof fileBlob> | null = null;

export async function pythonJob(source: string, over: Partial<JobInput> = {}) {
  return buildJob({
    ...small,
    module: await (python ??= pythonRuntime().then(({ file }) => fileBlob(file))),
    args: ["python", "/app/main.py"],
    mounts: [
      {
        mount: { path: "/app", writable: false, keep: false },
        entries: [{ path: "main.py", kind: "file", blob: bytesBlob(new TextEncoder().encode(source)) }],
      },
      OUT,
    ],
    ...over,
  });
}

/** A module of WebAssembly text, with nothing but /out. */
export const moduleJob = (module: Uint8Array, over: Partial<JobInput> = {}) =>
  buildJob({ ...small, module: bytesBlob(module), args: ["job"], mounts: [OUT], ...over });

export async function assembled(text: string): Promise<Uint8Array> {
  const wabt = await wabtInit();
  return wabt.parseWat("job.wat", text).toBinary({}).buffer.slice();
}

const MIX = `
    (loop $again
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store offset=65536 (i32.and (local.get $x) (i32.const 0xffffc))
        (i32.add (i32.load offset=65536 (i32.and (local.get $i) (i32.const 0xffffc))) (local.get $x)))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))`;

/** `body` can `(call $print)` the text, which stands at address 256, leave /out/kept with `(call $keep)`, and draw 64 bytes at address 64 with `(call $draw)`. */
const withHelpers = (text: string, body: string): Promise<Uint8Array> =>
  assembled(`(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 18)
    (data (i32.const 32) "kept")
    (data (i32.const 256) ${JSON.stringify(text)})
    (func $put (param $to i32) (param $at i32) (param $length i32)
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (local.get $length))
      (drop (call $write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func $print (call $put (i32.const 1) (i32.const 256) (i32.const ${Buffer.byteLength(text)})))
    (func $draw (drop (call $random (i32.const 64) (i32.const 64))))
    (func $keep
      (drop (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 48)))
      (call $put (i32.load (i32.const 48)) (i32.const 32) (i32.const 4)))
    (func (export "_start") (local $i i32) (local $x i32) ${body}))`);

/** Prints that and ends. */
export const saying = (text: string): Promise<Uint8Array> => withHelpers(text, "(call $print)");

/** Leaves /out/kept, prints `go`, and works until it is ended. */
export const endless = (): Promise<Uint8Array> => withHelpers("go\n", "(call $keep) (call $print) (loop $work (br $work))");

/** Leaves /out/kept, prints `go`, and calls out without end. */
export const drawing = (): Promise<Uint8Array> => withHelpers("go\n", "(call $keep) (call $print) (loop $more (call $draw) (br $more))");

/** Leaves /out/kept, prints `go` and then prints on until it is ended. */
export const talkative = (): Promise<Uint8Array> => withHelpers("go\n".repeat(1_000), "(call $keep) (loop $more (call $print) (br $more))");

/** Leaves /out/kept and takes memory until it gets no more, which it cannot do without. */
export const greedy = (): Promise<Uint8Array> =>
  withHelpers("", "(call $keep) (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable");

/** Mixes a megabyte for so many rounds with what it draws, leaves /out/kept, and prints eight bytes of the megabyte. */
export const mixing = (rounds: number): Promise<Uint8Array> =>
  withHelpers(
    "",
    `(call $draw) (call $keep)
    (local.set $x (i32.load (i32.const 120))) ;; every part of the seed is in it
    (local.set $i (i32.const ${rounds}))
    ${MIX}
    (call $put (i32.const 1) (i32.const 65536) (i32.const 8))`,
  );

/** Prints that, leaves /out/kept, works for so many rounds or without end, and exits. */
export const printing = (text: string, rounds: number | "endless", exit: number): Promise<Uint8Array> =>
  withHelpers(
    text,
    `(call $print) (call $keep)
    (local.set $i (i32.const ${rounds === "endless" ? 1 : rounds + 1}))
    ${MIX}
    ${rounds === "endless" ? "(loop $work (br $work))" : ""}
    (call $exit (i32.const ${exit}))`,
  );

/** Prints the file of /in that its first argument names, and exits with 1 where that begins with `!`. */
export const reading = (): Promise<Uint8Array> =>
  assembled(`(module
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "_start") (local $name i32) (local $length i32)
      (drop (call $args (i32.const 1024) (i32.const 2048)))
      (local.set $name (i32.add (i32.load (i32.const 1028)) (i32.const 4))) ;; behind "/in/"
      (loop $more
        (local.set $length (i32.add (local.get $length) (i32.const 1)))
        (br_if $more (i32.load8_u (i32.add (local.get $name) (local.get $length)))))
      (drop (call $open (i32.const 4) (i32.const 0) (local.get $name) (local.get $length) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 48)))
      (i32.store (i32.const 0) (i32.const 4096))
      (i32.store (i32.const 4) (i32.const 4096))
      (drop (call $read (i32.load (i32.const 48)) (i32.const 0) (i32.const 1) (i32.const 4)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.eq (i32.load8_u (i32.const 4096)) (i32.const 33)) (then (call $exit (i32.const 1))))))`);

/** Prints `begin`, works for some seconds of its own clock, prints `end` and exits with 7. */
export const working = (): Promise<Uint8Array> =>
  withHelpers(
    "begin\nend\n",
    `(call $put (i32.const 1) (i32.const 256) (i32.const 6))
    (local.set $i (i32.const 500000000)) ${MIX}
    (call $put (i32.const 1) (i32.const 262) (i32.const 4))
    (call $exit (i32.const 7))`,
  );
