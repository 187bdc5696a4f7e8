/** Bytes of a guest that come in the smallest of pieces, and what is called off before it is asked for. */
import { utf8 } from "@xenoservers/protocol";
import { frame } from "@xenoservers/protocol/channel";
import { describe, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import type { Wire } from "../guest/wire.ts";
import { AnyMachine } from "./any-machine.ts";
import type { HeldMachine } from "./fork.ts";
import { AnyMachineFiles } from "./machine-files.ts";
import { Machine as NodeMachine } from "../node/machine/machine.ts";
import { Machine as PageMachine } from "../page/machine.ts";

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

it.each<[string, (to: HeldMachine, bytes: Uint8Array) => Promise<unknown>]>([
  ["a program reads", (to, input) => new AnyMachine(to, () => {}).exec(["x"], { input })],
  ["a file is to hold", (to, bytes) => new AnyMachineFiles(to.session.machine).write("/f", bytes)],
])("what %s is what it was when it was handed over, in a Buffer, too", async (_, hand) => {
  const wire = Promise.withResolvers<Wire>();
  const machine = { shell: async (given: Wire) => wire.resolve(given) };
  const own = Buffer.from("as it was");
  hand({ session: { machine } } as unknown as HeldMachine, own).catch(() => {}); // it is left
  own.fill(".");
  const said: Uint8Array[] = [];
  const given = await wire.promise;
  given.on("data", (bytes: Uint8Array) => void said.push(bytes.slice()));
  const all = (): string => String(Buffer.concat(said));
  await until(() => /as it was|\.{9}/.test(all()));
  expect(all()).toContain("as it was");
  given.destroy();
});

it("what is typed on its console goes there in order, in pieces that a message holds, as it was when it was handed over", async () => {
  const sent: Uint8Array[] = [];
  const to = { input: async (bytes: Uint8Array) => void sent.push(bytes.slice()) };
  const typed = Buffer.from("0123456789".repeat(4_000));
  const going = new AnyMachine({ session: { machine: to } } as unknown as HeldMachine, () => {}).type(typed);
  typed.fill(".");
  await going;
  expect(String(Buffer.concat(sent))).toBe("0123456789".repeat(4_000));
  expect(sent.map(({ length }) => length)).toEqual([16_384, 16_384, 7_232]);
});

describe("called off while its server is not reached", () => {
  const callOff = new Error("enough");
  it.each<[string, (to: HeldMachine, signal: AbortSignal) => Promise<unknown>]>([
    ["a program that is run", (to, signal) => new AnyMachine(to, () => {}).exec(["x"], { signal })],
    ["a program that is started in a page", (to, signal) => new PageMachine(to, () => {}).start(["x"], { signal })],
    ["a program that is started on Node", (to, signal) => new NodeMachine(to, () => {}).start(["x"], { signal })],
    ["a look at a file", (to, signal) => new AnyMachineFiles(to.session.machine).look("/", { signal })],
  ])("%s is not asked for when it is reached", async (_, ask) => {
    const reached = Promise.withResolvers<void>();
    const wires: Wire[] = [];
    const to = { session: { machine: { shell: (wire: Wire) => (wires.push(wire), reached.promise) } } } as unknown as HeldMachine;
    const [before, meanwhile] = [AbortSignal.abort(callOff), new AbortController()];
    await expect(ask(to, before)).rejects.toMatchObject({ name: "AbortError" });
    expect(wires).toEqual([]);
    const asked = ask(to, meanwhile.signal);
    meanwhile.abort(callOff);
    await expect(asked).rejects.toMatchObject({ name: "AbortError" });
    reached.resolve();
    expect(wires.map(({ isDestroyed }) => isDestroyed)).toEqual([true]);
  });
});
