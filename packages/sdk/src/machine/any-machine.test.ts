/** Bytes of a guest that come in the smallest of pieces. */
import { utf8 } from "@xenoservers/protocol";
import { frame } from "@xenoservers/protocol/channel";
import { expect, it } from "vitest";
import type { Wire } from "../guest/wire.ts";
import { AnyMachine } from "./any-machine.ts";
import type { HeldMachine } from "./fork.ts";
import { AnyMachineFiles } from "./machine-files.ts";

/** More than a function is called with (about 500,000 with the stack that tests have). */
const PIECES = 1_000_000;

/** A guest whose shell says what the test has it say. */
function link(): { shell(wire: Wire): Promise<void>; wire: Promise<Wire> } {
  const { promise, resolve } = Promise.withResolvers<Wire>();
  return { shell: async (wire) => resolve(wire.resume()), wire: promise };
}

it("a program that prints letter by letter is held as any other", async () => {
  const to = link();
  const ran = new AnyMachine({ session: { machine: to } } as unknown as HeldMachine, () => {}).exec(["x"]);
  const wire = await to.wire;
  const many = Buffer.concat(Array.from({ length: 100 }, () => frame("o", utf8("1"))));
  for (let i = 0; i < PIECES; i += 100) wire.write(many);
  wire.write(frame("x", utf8("0")));
  expect((await ran).stdout).toBe("1".repeat(PIECES));
});

it("and a file that comes so, to the last byte", async () => {
  const to = link();
  const read = new AnyMachineFiles(to as never).read("/f");
  const wire = await to.wire;
  const one = Buffer.from("\0\0\0\x01x", "latin1");
  const many = frame("o", Buffer.concat(Array.from({ length: 1_000 }, () => one)));
  for (let i = 0; i < PIECES; i += 1_000) wire.write(many);
  wire.write(frame("o", Buffer.from("\0\0\0\0\0\0\0\x02ok", "latin1")));
  const bytes = await read;
  expect([bytes.length, bytes.buffer.byteLength, bytes.every((byte) => byte === 120)]).toEqual([PIECES, PIECES, true]);
});
