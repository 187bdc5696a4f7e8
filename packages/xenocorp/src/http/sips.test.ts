import { PassThrough, duplexPair, type Duplex } from "node:stream";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { systemTimers } from "@xenoservers/protocol/link";
import { Sips } from "./sips.ts";

function sips(owed: { ms: number }) {
  const wakes: { ms: number; action: () => void }[] = [];
  const timers = {
    now: () => 0,
    random: () => 0,
    after: (ms: number, action: () => void) => (wakes.push({ ms, action }), () => {}),
  };
  const socket: Duplex = new PassThrough();
  const one = new Sips(socket, timers);
  one.heeds(
    () => owed.ms,
    () => "",
  );
  const sizes: number[] = [];
  return { socket, one, wakes, sizes };
}

it("stops in the middle of what came in one piece, and goes on when it may", async () => {
  const owed = { ms: 0 };
  const { socket, one, wakes, sizes } = sips(owed);
  one.on("data", (bytes: Buffer) => {
    sizes.push(bytes.length);
    if (sizes.length === 2) owed.ms = 70;
  });
  socket.push(Buffer.alloc(10_000));
  while (wakes.length === 0) await new Promise(setImmediate);
  expect([sizes, wakes[0]?.ms, one.rests, socket.isPaused()]).toEqual([[4_096, 4_096], 70, true, true]);
  wakes[0]?.action();
  expect([sizes.length, wakes.length]).toEqual([2, 2]);
  owed.ms = 0;
  wakes[1]?.action();
  expect([sizes, one.rests]).toEqual([[4_096, 4_096, 1_808], false]);
});

it("reads nothing more of the socket for as long as its reader waits", async () => {
  const owed = { ms: 0 };
  const { socket, one, wakes, sizes } = sips(owed);
  one.on("data", (bytes: Buffer) => void (sizes.push(bytes.length), (owed.ms = 9)));
  socket.push(Buffer.alloc(3));
  while (wakes.length === 0) await new Promise(setImmediate);
  for (let i = 0; i < 9; i++) socket.push(Buffer.alloc(3));
  for (let i = 0; i < 9; i++) await new Promise(setImmediate);
  expect([sizes, socket.readableLength]).toEqual([[3], 27]);
});

it("once it is deaf, keeps nothing of what came, and frees what comes", async () => {
  const { socket, one, sizes } = sips({ ms: 0 });
  const [first, second] = [Buffer.from(new ArrayBuffer(9_000)), Buffer.from(new ArrayBuffer(9_000))];
  one.on("data", (bytes: Buffer) => {
    sizes.push(bytes.length);
    one.pause();
  });
  socket.push(first);
  while (sizes.length === 0) await new Promise(setImmediate);
  one.deafen();
  one.resume();
  socket.emit("data", second);
  for (let i = 0; i < 9; i++) await new Promise(setImmediate);
  expect([sizes, second.buffer.byteLength, socket.isPaused()]).toEqual([[4_096], 0, true]);
});

it("once it is deaf, takes nothing more from the kernel, however much its other end sends", async () => {
  const server = createServer();
  const accepted = once(server, "connection");
  await once(server.listen(0, "127.0.0.1"), "listening");
  const far = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [socket] = (await accepted) as [Socket];
  const one = new Sips(socket, systemTimers);
  let isFirst = true;
  socket.prependListener("data", () => isFirst && ((isFirst = false), one.deafen()));
  one.resume();
  far.write(Buffer.alloc(16 * 1024 * 1024));
  await until(() => !isFirst);
  const { bytesRead } = socket;
  for (let i = 0; i < 99; i++) await new Promise(setImmediate);
  expect([socket.bytesRead, socket.readableLength]).toEqual([bytesRead, 0]);
  far.destroy();
  socket.destroy();
  server.close();
});

it("gives what came back at once, and hands on what a long frame holds in one piece", async () => {
  const { socket, one } = sips({ ms: 0 });
  const given: Buffer[] = [];
  one.on("data", (bytes: Buffer) => void given.push(bytes));
  const frame = Buffer.concat([Buffer.from([0x82, 128 | 126, 60_000 >> 8, 60_000 & 255, 0, 0, 0, 0]), Buffer.alloc(60_000, 7)]);
  const come = [frame.subarray(0, 20_000), frame.subarray(20_000, 50_000), frame.subarray(50_000)].map((part) => {
    const own = Buffer.from(new ArrayBuffer(part.length));
    own.set(part);
    return own;
  });
  for (const part of come) socket.push(part);
  while (given.length < 2) await new Promise(setImmediate);
  expect(given.map(({ length, buffer }) => [length, buffer.byteLength])).toEqual([8, 60_000].map((size) => [size, size]));
  expect(Buffer.concat(given).equals(frame)).toBe(true);
  expect(come.map(({ buffer }) => buffer.byteLength)).toEqual([0, 0, 0]);
});

it("gives all that came before the end, then the end", async () => {
  const { socket, one } = sips({ ms: 0 });
  let come = 0;
  one.on("data", (bytes: Buffer) => void (come += bytes.length));
  socket.push(Buffer.alloc(9_000));
  socket.push(null);
  await once(one, "end");
  expect(come).toBe(9_000);
});

it("passes on what is written, and ends with the socket", async () => {
  const [raw, far] = duplexPair();
  const one = new Sips(raw, systemTimers);
  one.cork();
  for (const piece of ["a", "b", "c"]) one.write(piece);
  one.uncork();
  one.write("d");
  let come = "";
  far.on("data", (bytes: Buffer) => void (come += bytes.toString()));
  one.end();
  await once(far, "end");
  expect(come).toBe("abcd");
  const gone = once(one, "close");
  raw.destroy();
  await gone;
});
