/** The way out of a machine, with this host's own loopback in place of the machine's network. */
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import packet from "dns-packet";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ConnectionTable } from "./connection-table.ts";
import { Gate, type Connection } from "./gate.ts";
import { LookUpRoom } from "./look-ups.ts";

const MIB = 1024 * 1024;
const PORT = 80;
const CONNECTIONS_MAX = 256;
const PART_BYTES = 100_000;
/** Of a DNS answer (RFC 1035, 4.1.1). */
const NO_ERROR = 0;
const SERVFAIL = 2;

let outside: Server;
let inside: Server;
let gate: Gate;
let recorded: Connection[];
let limits: { bytesMax: number };
/** What the gate has outside, and what is at its other end. */
let dialled: Socket[];
let far: Socket[];
let answerNames: () => void;
let now = 0;

async function listening(server: Server): Promise<Server> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

let datagrams: Datagrams;

beforeEach(async () => {
  [recorded, dialled, far] = [[], [], []];
  limits = { bytesMax: 64 * MIB };
  outside = await listening(createServer({ allowHalfOpen: true }, (socket) => void far.push(socket.resume().on("error", () => {}))));
  inside = await listening(createServer({ pauseOnConnect: true }));
  const told = new Promise<string[]>((resolve) => (answerNames = () => resolve(["127.0.0.1"])));
  const options = Object.assign(limits, {
    ...({ lease: "l", egress: "public", ports: [PORT], bytesUsed: 0, bytesPerSecondMax: 1_000 * MIB } as const),
    isPublic: () => true,
    record: (connection: Connection) => void recorded.push(connection),
    lookUps: new LookUpRoom(),
    resolve: () => told,
    now: () => now,
    dial() {
      const socket = connect(portOf(outside), "127.0.0.1");
      dialled.push(socket);
      return socket;
    },
  });
  gate = new Gate(options);
  datagrams = createSocket("udp4");
  await new Promise<void>((resolve) => datagrams.bind(0, "127.0.0.1", resolve));
  await gate.start({ listen: async () => inside, datagrams: async () => datagrams }, new ConnectionTable(process.pid));
});
afterEach(async () => {
  answerNames();
  await gate.close();
  for (const socket of far) socket.destroy();
  outside.close();
});

async function guest(): Promise<Socket> {
  const socket = connect(portOf(inside), "127.0.0.1").on("error", () => {});
  await once(socket, "connect");
  return socket;
}
const sent = (bytes: number): Promise<void> => until(() => gate.bytes >= bytes);
const codeOf = (socket: Socket) => once(socket.resume(), "error").then(([error]) => (error as NodeJS.ErrnoException).code);
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

it("writes down of each connection its own bytes, whatever others pass meanwhile", async () => {
  const one = await guest();
  one.write("x");
  await sent(1);
  const other = await guest();
  other.write(Buffer.alloc(MIB));
  await sent(MIB + 1);
  one.destroy();
  await until(() => recorded.length === 1);
  other.destroy();
  await until(() => recorded.length === 2);
  expect(recorded.map(({ bytes }) => bytes)).toEqual([1, MIB]);
  expect(gate.bytes).toBe(MIB + 1);
});

it("lets whoever has said all hear the other to its end", async () => {
  const [asks, hears] = [await guest(), await guest()];
  asks.allowHalfOpen = hears.allowHalfOpen = true;
  await until(() => far.length === 2);
  asks.end("a question");
  await once(far[0]!, "end");
  far[0]!.end("an answer");
  expect(await text(asks)).toBe("an answer");
  far[1]!.end("a greeting");
  expect(await text(hears)).toBe("a greeting");
  const said = text(far[1]!);
  hears.end("an answer");
  expect(await said).toBe("an answer");
  await until(() => recorded.length === 2);
});

/** A reset that QEMU finds together with bytes is an end to its guest: half a file would be a whole one. */
it("breaks off in the guest what is broken off outside, when the guest's side has read what came before", async () => {
  const one = (await guest()).pause();
  await until(() => far.length === 1);
  // more than the guest's side takes while nobody reads it, and no more than its kernel and the gate do
  far[0]!.write(Buffer.alloc(PART_BYTES));
  await sent(PART_BYTES);
  const closed = once(dialled[0]!, "close").catch(() => {});
  far[0]!.resetAndDestroy();
  await closed;
  const handle = (one as unknown as { _handle: { getpeername(into: object): number } })._handle;
  expect(handle.getpeername({})).toBe(0); // of one that was reset the kernel has no other end
  expect(await codeOf(one)).toBe("ECONNRESET");
});

it("breaks off outside what the guest breaks off: its side is closed, and had not heard all", async () => {
  const one = await guest();
  one.write("a part");
  await sent(6);
  await until(() => far.length === 1);
  const code = codeOf(far[0]!);
  one.destroy();
  expect(await code).toBe("ECONNRESET");
});

it("breaks off what goes beyond the order's limit: what came is not all", async () => {
  limits.bytesMax = MIB;
  const one = await guest();
  await until(() => far.length === 1);
  far[0]!.write(Buffer.alloc(2 * MIB));
  expect(await codeOf(one)).toBe("ECONNRESET");
  expect(gate.bytes).toBeLessThanOrEqual(MIB);
});

it("has places for so many at once, and gives that of a guest's who has said all to another", async () => {
  const all: Socket[] = [];
  for (let i = 0; i < CONNECTIONS_MAX; i++) all.push(await guest());
  await until(() => far.length === CONNECTIONS_MAX);
  now += 1_000;
  expect(await codeOf(connect(portOf(inside), "127.0.0.1"))).toBe("ECONNRESET");
  all[7]!.allowHalfOpen = true;
  all[7]!.end();
  await once(far[7]!, "end");
  const code = codeOf(all[7]!);
  const next = await guest();
  next.write("x");
  await sent(1);
  expect(await code).toBe("ECONNRESET");
  expect(far).toHaveLength(CONNECTIONS_MAX + 1);
  for (const each of [...all, next]) each.destroy();
});

it("ends nothing for one that does not begin, as the guest begins too many", async () => {
  const all: Socket[] = [];
  for (let i = 0; i < CONNECTIONS_MAX; i++) all.push(await guest());
  await until(() => far.length === CONNECTIONS_MAX);
  all[7]!.allowHalfOpen = true;
  all[7]!.end();
  await once(far[7]!, "end");
  expect(await codeOf(connect(portOf(inside), "127.0.0.1"))).toBe("ECONNRESET");
  far[7]!.end("an answer");
  expect(await text(all[7]!)).toBe("an answer");
  for (const each of all) each.destroy();
});

it("gives another the place of one whose server is gone, where the guest takes nothing of what it said", async () => {
  const all: Socket[] = [];
  for (let i = 0; i < CONNECTIONS_MAX; i++) all.push((await guest()).pause());
  await until(() => far.length === CONNECTIONS_MAX);
  now += 1_000;
  far[7]!.write("a part");
  await sent(6);
  const closed = once(dialled[7]!, "close").catch(() => {});
  far[7]!.resetAndDestroy();
  await closed;
  const next = await guest();
  next.write("x");
  await sent(7);
  expect(far).toHaveLength(CONNECTIONS_MAX + 1);
  for (const each of [...all, next]) each.destroy();
});

it("is left by this program: a guest that goes on has heard what came, and that it is not all", async () => {
  const one = (await guest()).pause();
  await until(() => far.length === 1);
  far[0]!.write(Buffer.alloc(PART_BYTES));
  await sent(PART_BYTES);
  const closed = gate.close(true);
  await once(dialled[0]!, "close").catch(() => {});
  const handle = (one as unknown as { _handle: { getpeername(into: object): number } })._handle;
  expect(handle.getpeername({})).toBe(0);
  let bytes = 0;
  one.on("data", (part: Buffer) => (bytes += part.length));
  expect([await codeOf(one), bytes]).toEqual(["ECONNRESET", PART_BYTES]);
  await closed;
});

it("is cut: what is open is reset on both sides, nothing begins, and it lets out again", async () => {
  const one = await guest();
  one.write("x");
  await sent(1);
  await until(() => far.length === 1);
  const [near, other] = [codeOf(one), codeOf(far[0]!)];
  const cut = gate.cut("moves");
  expect([await near, await other]).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(await codeOf(connect(portOf(inside), "127.0.0.1"))).toBe("ECONNRESET");
  expect(far).toHaveLength(1);
  await cut;
  gate.letOut();
  const again = await guest();
  again.write("y");
  await sent(2);
  again.destroy();
});

it("bounds how many connections a guest makes one after another, bytes or none", async () => {
  let knocks = 0;
  outside.on("connection", (socket) => {
    knocks += 1;
    socket.destroy();
  });
  const knock = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const socket = connect(portOf(inside), "127.0.0.1");
      await new Promise<void>((resolve) =>
        socket
          .on("error", () => {})
          .once("close", () => resolve())
          .resume(),
      );
    }
  };
  await knock(256 + 40);
  expect([knocks, recorded.length]).toEqual([256, 256]);
  now += 1_000;
  await knock(40);
  expect([knocks, recorded.length]).toEqual([256 + 32, 256 + 32]);
});

it("answers a guest that asks for more names at a time than are looked up: not now", async () => {
  const asking = createSocket("udp4");
  await new Promise<void>((resolve) => asking.bind(0, "127.0.0.1", resolve));
  const codes: number[] = [];
  asking.on("message", (bytes) => codes.push(bytes.readUInt8(3) & 15));
  for (let id = 1; id <= 30; id++)
    asking.send(packet.encode({ type: "query", id, questions: [{ name: `n${id}.example`, type: "A" }] }), portOf(datagrams), "127.0.0.1");
  await until(() => codes.length === 22);
  expect(new Set(codes)).toEqual(new Set([SERVFAIL]));
  answerNames();
  await until(() => codes.length === 30);
  expect(codes.filter((code) => code === NO_ERROR)).toHaveLength(8);
  asking.close();
});
