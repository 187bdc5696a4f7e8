/** Connections to a machine's ports while it moves, with sockets of this machine's own in place of its network. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../../../../../test/until.ts";
import { Control } from "./control.ts";
import type { Vm } from "./vm.ts";

/** More than a side takes that nobody reads, and no more than its kernel does. */
const PART_BYTES = 100_000;

let far: Server;
let control: Control;
/** Before a connection is handed over. */
let handing: Promise<void>;

beforeEach(async () => {
  far = createServer((socket) => socket.on("error", () => {}));
  await once(far.listen(0, "127.0.0.1"), "listening");
  handing = Promise.resolve();
  const vm = { folder: "/none", handle: { id: { pid: process.pid } }, onPortClosed: () => {}, qmp: async () => "" } as unknown as Vm;
  control = new Control(vm, { hasNetwork: true, hasScreen: false, wakeShell: null });
  control.namespace.connect = async (): Promise<Socket> => {
    const socket = connect((far.address() as AddressInfo).port, "127.0.0.1");
    await once(socket, "connect");
    await handing;
    return socket;
  };
});
afterEach(() => void far.close());

it("are reset, and whoever has one hears why; none is made until it goes on", async () => {
  const socket = await control.open(22);
  const why = once(socket, "error");
  control.cut("moves");
  expect((await why)[0]).toMatchObject({ message: expect.stringContaining("is being moved") });
  await expect(control.open(22)).rejects.toThrow("is being moved");
  await once(socket, "close");
  expect(control.hasConnections).toBe(false);
  control.joinAgain();
  (await control.open(22)).destroy();
});

/** Together with bytes a reset is an end to QEMU's guest: what it had of an upload would be all of it. */
it("are reset when its network has read what was said before, and what comes after is not for it", async () => {
  const coming = once(far, "connection") as Promise<[Socket]>;
  const socket = await control.open(22);
  const [there] = await coming;
  there.pause();
  socket.write(Buffer.alloc(PART_BYTES));
  await until(() => socket.writableLength === 0);
  const cut = control.cut("moves");
  socket.write("more");
  socket.end();
  const handle = (there as unknown as { _handle: { getpeername(into: object): number } })._handle;
  expect(handle.getpeername({})).toBe(0); // of one that was reset the kernel has no other end
  let bytes = 0;
  const [error] = await once(there.on("data", (part: Buffer) => (bytes += part.length)).resume(), "error");
  expect([bytes, (error as NodeJS.ErrnoException).code]).toEqual([PART_BYTES, "ECONNRESET"]);
  await cut;
});

it("one that was just being made is refused in the same words: an end would say nothing", async () => {
  const handed = Promise.withResolvers<void>();
  handing = handed.promise;
  const opening = control.open(22);
  await once(far, "connection");
  control.cut("moves");
  handed.resolve();
  await expect(opening).rejects.toThrow("is being moved");
  expect(control.hasConnections).toBe(false);
});
