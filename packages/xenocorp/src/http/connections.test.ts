import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { callers } from "./caller.ts";
import { boundConnections, boundPipelines, hearNoMore } from "./connections.ts";

const LOUD = "127.0.0.2";
const QUIET = "127.0.0.3";
const REQUEST = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

let server: Server;
let worked: string[];
let charged: string[];
let wakes: { ms: number; action: () => void }[];
let places: { left: number };
const sockets: Socket[] = [];

beforeEach(async () => {
  [worked, charged, wakes] = [[], [], []];
  // the last of a test before may come back late
  const own = { left: 100 };
  places = own;
  const who = callers([]);
  const door = {
    charge: (address: string) => (charged.push(address), true),
    owedMs: (address: string) => (charged.includes(address) ? 60_000 : 0),
    take: () => (own.left > 0 ? (own.left--, () => void own.left++) : null),
  };
  const timers = {
    now: () => 0,
    random: () => 0,
    after: (ms: number, action: () => void) => (wakes.push({ ms, action }), () => {}),
  };
  server = createServer(
    boundPipelines(
      (request, response) => {
        worked.push(who.of(request));
        // after all that came with it was parsed
        setImmediate(() => response.end("answer"));
      },
      door,
      who,
    ),
  );
  boundConnections(server, door, who, timers);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
  server.closeAllConnections();
  await once(server, "close");
});

async function dial(localAddress: string): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  sockets.push(socket.on("error", () => {}));
  await once(socket, "connect");
  return socket.resume();
}

it("of what came in one piece, nothing is worked on after the request that was one too many, and its address pays", async () => {
  const loud = await dial(LOUD);
  loud.write(REQUEST.repeat(1_000));
  await until(() => loud.destroyed);
  expect([worked.length, charged]).toEqual([16, [LOUD]]);
  await until(() => places.left === 100);
});

it("what is cut has few requests of what it sent made into objects", async () => {
  let made = 0;
  server.on("request", () => made++);
  const loud = await dial(LOUD);
  loud.write(REQUEST.repeat(2_000));
  await until(() => loud.destroyed);
  expect(made).toBeGreaterThan(16);
  expect(made).toBeLessThan(4_096 / REQUEST.length + 16);
});

it("what comes in slices is what was sent: long bodies whole, and behind an upgrade the bytes of another protocol", async () => {
  const bodies: number[] = [];
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    const pieces: Buffer[] = [];
    const end = (): void => void response.end(String(bodies.push(Buffer.concat(pieces).toString().replaceAll(/[^x]/g, "").length)));
    // taken when all that came with it was parsed
    setImmediate(() => request.on("data", (piece: Buffer) => void pieces.push(piece)).on("end", end));
  });
  let other = "";
  server.on("upgrade", (_request, socket: Socket, head: Buffer) => {
    other += head.toString();
    socket.pause();
    socket.on("data", (bytes: Buffer) => void (other += bytes.toString()));
    setImmediate(() => socket.resume());
    sockets.push(socket);
  });
  const posts = await dial(QUIET);
  for (const length of [9, 4_096, 300_000, 1])
    posts.write(`POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${length}\r\n\r\n${"x".repeat(length)}`);
  await until(() => bodies.length === 4);
  expect(bodies).toEqual([9, 4_096, 300_000, 1]);
  const upgrades = await dial(QUIET);
  const after = Array.from({ length: 9_000 }, (_, i) => String(i % 10)).join("");
  upgrades.write(`GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n${after}`);
  await until(() => other.length >= after.length);
  upgrades.write("more");
  await until(() => other.length >= after.length + 4);
  expect(other).toBe(`${after}more`);
});

it("a connection that stays for its answer alone is heard no more, and nothing of what it sends is kept", async () => {
  server.removeAllListeners("request");
  const heard: Socket[] = [];
  server.on("request", ({ socket }) => {
    heard.push(socket);
    hearNoMore(socket);
  });
  const loud = await dial(LOUD);
  loud.write(`POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n${"x".repeat(8_000_000)}`);
  await until(() => heard.length === 1);
  for (let i = 0; i < 99; i++) await new Promise(setImmediate);
  expect(heard[0]?.bytesRead).toBeLessThan(1024 * 1024);
  expect(heard[0]?.readableLength).toBe(0);
  heard[0]?.destroy();
});

it("an address that owes is not heard on its next connections for a while; others are", async () => {
  charged.push(LOUD);
  const [loud, quiet] = [await dial(LOUD), await dial(QUIET)];
  loud.write(REQUEST);
  await until(() => wakes.length === 1);
  for (let asked = 1; asked <= 3; asked++) {
    quiet.write(REQUEST);
    await until(() => worked.length === asked);
  }
  expect([worked, wakes[0]?.ms]).toEqual([[QUIET, QUIET, QUIET], 2_000]);
  wakes[0]?.action();
  await until(() => worked.length === 4);
  expect(worked[3]).toBe(LOUD);
});

it("an address without a place for one more is hung up on", async () => {
  places.left = 1;
  const first = await dial(QUIET);
  const second = await dial(QUIET);
  await until(() => second.destroyed);
  first.destroy();
  await until(() => places.left === 1);
  (await dial(QUIET)).write(REQUEST);
  await until(() => worked.length === 1);
});
