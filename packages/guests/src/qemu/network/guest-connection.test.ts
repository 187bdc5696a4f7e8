/** Against this machine's own kernel, with another program in QEMU's place: what it does is told from what it leaves. */
import { spawn, type ChildProcess } from "node:child_process";
import { on, once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, it } from "vitest";
import { ConnectionTable, WAITING_MAX } from "./connection-table.ts";
import { guestConnection, type GuestConnection } from "./guest-connection.ts";

/** Says all, or closes, and is there still; or reads when it is told to, or never, and tells what came, and whether it is connected when asked. */
const OTHER = `const does = process.argv[1];
const came = (socket, what) => process.send({ came: what });
const server = require("node:net").createServer({ allowHalfOpen: true, pauseOnConnect: does === "read" || does === "hold" }, (socket) => {
  if (does === "end") return socket.end();
  if (does === "close") return socket.destroy();
  if (does === "hold") return;
  socket.on("data", (bytes) => came(socket, String(bytes))).on("error", (error) => came(socket, error.code)).on("end", () => came(socket, "end"));
  process.on("message", (asked) => {
    if (asked === "read") socket.resume();
    else process.send({ isConnected: socket._handle.getpeername({}) === 0 });
  });
});
server.listen(0, "0.0.0.0", () => process.send(server.address().port));`;

let other: ChildProcess;
/** All that it tells, in its order: what comes before anybody asks for it waits. */
let told: NodeJS.AsyncIterator<unknown[]>;
afterEach(() => void other.kill());

const next = async (): Promise<unknown> => ((await told.next()).value as unknown[])[0];

/** The port where it listens. */
async function started(does: string): Promise<number> {
  other = spawn(process.execPath, ["-e", OTHER, does], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  told = on(other, "message");
  return (await next()) as number;
}

async function connected(does: string): Promise<GuestConnection> {
  const port = await started(does);
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  return guestConnection(socket, new ConnectionTable(other.pid!));
}

function asked(what: string): Promise<unknown> {
  other.send(what);
  return next();
}

it.each([
  ["end", false],
  ["close", true],
])("takes what QEMU does with a guest's connection, %s, for a break: %s", async (does, isBroken) => {
  const connection = await connected(does);
  connection.resume();
  await once(connection, "end");
  expect(await connection.wasBrokenOff()).toBe(isBroken);
  connection.destroy();
});

it("is reset when QEMU has read what was said before: of both together it makes bytes with an end behind them", async () => {
  const connection = await connected("read");
  connection.write("a part");
  connection.breakOff();
  expect(await asked("look")).toEqual({ isConnected: true });
  expect(await asked("read")).toEqual({ came: "a part" });
  expect(await next()).toEqual({ came: "ECONNRESET" });
});

it("is reset at once where nothing was said", async () => {
  const connection = await connected("read");
  connection.breakOff();
  await once(connection, "close");
  expect(await asked("look")).toEqual({ isConnected: false });
});

it("is told from another of the same two ports by its addresses: a guest's go to many", async () => {
  other = spawn(process.execPath, ["-e", OTHER, "hold"], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const [port] = (await once(other, "message")) as [number];
  const table = new ConnectionTable(other.pid!);
  let localPort = 0;
  const to = async (host: string): Promise<GuestConnection> => {
    const socket = connect({ port, host, localAddress: "127.0.0.1", localPort, allowHalfOpen: true });
    await once(socket, "connect");
    localPort = socket.localPort!;
    return guestConnection(socket, table);
  };
  const all = [await to("127.0.0.2"), await to("127.0.0.3"), await to("127.0.0.4")];
  for (const each of [all[0]!, all[2]!]) await new Promise<void>((resolve) => each.write("a part", () => resolve()));
  for (const each of all) void each.breakOff();
  await once(all[1]!, "close");
  expect(all.map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
  for (const each of all) each.destroy();
});

it("is let go when its reader has gone", async () => {
  const connection = await connected("read");
  connection.write("a part");
  connection.breakOff();
  expect(await asked("look")).toEqual({ isConnected: true });
  const closed = new Promise((resolve) => connection.on("error", () => {}).once("close", resolve));
  other.kill();
  await closed;
});

it("is let go, the oldest first, where more of them wait than a guest that takes nothing may hold", async () => {
  const port = await started("hold");
  const table = new ConnectionTable(other.pid!);
  const all: GuestConnection[] = [];
  for (let i = 0; i < WAITING_MAX + 2; i++) {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    const connection = guestConnection(socket, table);
    await new Promise<void>((resolve) => connection.write("a part", () => resolve()));
    connection.breakOff();
    all.push(connection);
  }
  await Promise.all(all.slice(0, 2).map((each) => each.closed || once(each, "close")));
  expect(all.filter((each) => each.destroyed)).toHaveLength(2);
  for (const each of all) each.destroy();
});
