import { readFile } from "node:fs/promises";
import * as engine from "@xenoservers/engine/check";
import wabtInit from "wabt";
import { expect, it } from "vitest";
import { bytesBlob } from "./blob.ts";
import { moduleIn, plainCheck } from "./module-check.ts";

async function assembled(text: string): Promise<Uint8Array> {
  return (await wabtInit()).parseWat("x.wat", text).toBinary({}).buffer.slice();
}

it("what JavaScript says of a module agrees with the engine where both know", async () => {
  const modern = await readFile("examples/count.wasm");
  const old = await assembled(
    '(module (import "wasi_unstable" "sched_yield" (func (result i32))) (memory (export "memory") 1) (func (export "_start")))',
  );
  for (const bytes of [modern, old]) {
    expect([plainCheck.isComponent(bytes), plainCheck.faultOf(bytes)]).toEqual([false, null]);
    expect([engine.isComponent(bytes), engine.faultOf(bytes)]).toEqual([false, null]);
  }
});

it.each<[string, Uint8Array, RegExp]>([
  ["no module", new TextEncoder().encode("#!/bin/sh\n"), /x\.wasm cannot run: it is no valid WebAssembly module/],
  ["nothing", new Uint8Array(), /x\.wasm cannot run: it is no valid/],
  ["a component", Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0), /x\.wasm cannot run: it is a component: name the module/],
])("refuses %s before anything is signed", async (_, bytes, says) => {
  await expect(moduleIn({ name: "x.wasm", blob: bytesBlob(bytes) }, plainCheck)).rejects.toThrow(says);
});
