/** Modules by hand: each ends in one way. */

/** How a module ends when nothing ends it before: by itself, never, or at a limit that every job has. */
export type ModuleEnd = "by itself" | "exit code" | "trap" | "memory" | "output" | "never" | "malformed";

const HELPERS = `
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 32) "kept")
  (func $put (param $to i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $print (param $length i32) (call $put (i32.const 1) (i32.const 4096) (local.get $length)))
  (func $keep
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 48)))
    (call $put (i32.load (i32.const 48)) (i32.const 4096) (i32.const 16)))
  (func $mix (param $rounds i32) (local $i i32) (local $x i32)
    (drop (call $random (i32.const 64) (i32.const 64)))
    (local.set $x (i32.load (i32.const 120)))
    (local.set $i (local.get $rounds))
    (loop $again
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store offset=4096 (i32.and (local.get $x) (i32.const 0x3ffc))
        (i32.add (i32.load offset=4096 (i32.and (local.get $i) (i32.const 0x3ffc))) (local.get $x)))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))`;

const module = (body: string): string => `(module ${HELPERS} (func (export "_start") (local $i i32) ${body}))`;
const mixed = (rounds: number, then: string): string => module(`(call $mix (i32.const ${rounds})) ${then}`);

export const HAND_MADE: readonly { name: string; ends: ModuleEnd; text: string }[] = [
  { name: "prints", ends: "by itself", text: mixed(300, "(call $keep) (call $print (i32.const 40))") },
  { name: "works", ends: "by itself", text: mixed(8_000, "(call $print (i32.const 8))") },
  { name: "leaves a file", ends: "by itself", text: mixed(1_500, "(call $keep)") },
  { name: "says nothing", ends: "by itself", text: mixed(2_000, "") },
  { name: "exits with 7", ends: "exit code", text: mixed(500, "(call $print (i32.const 12)) (call $exit (i32.const 7))") },
  { name: "exits at once", ends: "exit code", text: module("(call $exit (i32.const 1))") },
  { name: "traps", ends: "trap", text: mixed(700, "(call $print (i32.const 24)) unreachable") },
  { name: "divides by nothing", ends: "trap", text: mixed(100, "(drop (i32.div_u (i32.const 1) (local.get $i)))") },
  {
    name: "takes memory",
    ends: "memory",
    text: mixed(200, "(call $keep) (loop $more (br_if $more (i32.ne (memory.grow (i32.const 4)) (i32.const -1)))) unreachable"),
  },
  { name: "talks", ends: "output", text: mixed(50, "(loop $more (call $print (i32.const 16384)) (br $more))") },
  { name: "spins", ends: "never", text: mixed(50, "(call $print (i32.const 8)) (loop $again (call $mix (i32.const 40)) (br $again))") },
  {
    name: "spins and talks",
    ends: "never",
    text: module("(loop $again (call $mix (i32.const 100)) (call $print (i32.const 4)) (br $again))"),
  },
];

/** What is no module for this engine: noise, half a module, and one with shared memory. */
export const MALFORMED = (whole: Uint8Array): Uint8Array[] => [
  Uint8Array.from({ length: 40 }, (_, i) => (i * 37) % 256),
  whole.slice(0, whole.length / 2),
  Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 5, 4, 1, 3, 1, 1]),
];
