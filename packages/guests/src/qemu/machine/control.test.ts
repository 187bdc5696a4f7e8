/** Connections to a machine's ports while it moves, with sockets of this machine's own in place of its network. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Control } from "./control.ts";
import type { Vm } from "./vm.ts";

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
  control.cut();
  expect((await why)[0]).toMatchObject({ message: expect.stringContaining("is being moved") });
  await expect(control.open(22)).rejects.toThrow("is being moved");
  await once(socket, "close");
  expect(control.hasConnections).toBe(false);
  control.joinAgain();
  (await control.open(22)).destroy();
});

it("one that was just being made is refused in the same words: an end would say nothing", async () => {
  const handed = Promise.withResolvers<void>();
  handing = handed.promise;
  const opening = control.open(22);
  await once(far, "connection");
  control.cut();
  handed.resolve();
  await expect(opening).rejects.toThrow("is being moved");
  expect(control.hasConnections).toBe(false);
});
