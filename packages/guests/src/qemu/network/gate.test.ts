/** The way out of a machine, with this host's own loopback in place of the machine's network. */
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import packet from "dns-packet";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Gate, type Connection } from "./gate.ts";
import { LookUpRoom } from "./look-ups.ts";

const MIB = 1024 * 1024;
const PORT = 80;
/** Of a DNS answer (RFC 1035, 4.1.1). */
const NO_ERROR = 0;
const SERVFAIL = 2;

let outside: Server;
let inside: Server;
let gate: Gate;
let recorded: Connection[];
let answerNames: () => void;
let now = 0;

async function listening(server: Server): Promise<Server> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

let datagrams: Datagrams;

beforeEach(async () => {
  recorded = [];
  outside = await listening(createServer((socket) => socket.resume().on("error", () => {})));
  inside = await listening(createServer({ pauseOnConnect: true }));
  const told = new Promise<string[]>((resolve) => (answerNames = () => resolve(["127.0.0.1"])));
  gate = new Gate({
    ...{ lease: "l", egress: "public", ports: [PORT], bytesMax: 64 * MIB, bytesUsed: 0, bytesPerSecondMax: 1_000 * MIB },
    isPublic: () => true,
    record: (connection) => recorded.push(connection),
    lookUps: new LookUpRoom(),
    resolve: () => told,
    now: () => now,
    dial: () => connect(portOf(outside), "127.0.0.1"),
  });
  datagrams = createSocket("udp4");
  await new Promise<void>((resolve) => datagrams.bind(0, "127.0.0.1", resolve));
  await gate.start({ listen: async () => inside, datagrams: async () => datagrams });
});
afterEach(async () => {
  answerNames();
  await gate.close();
  outside.close();
});

async function guest(): Promise<Socket> {
  const socket = connect(portOf(inside), "127.0.0.1");
  await once(socket, "connect");
  return socket;
}
const sent = (bytes: number): Promise<void> => until(() => gate.bytes >= bytes);
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

it("is cut: what is open is reset on both sides, nothing begins, and it lets out again", async () => {
  const far: Socket[] = [];
  outside.on("connection", (socket) => far.push(socket));
  const one = await guest();
  one.write("x");
  await sent(1);
  const codeOf = (socket: Socket) => once(socket.resume(), "error").then(([error]) => (error as NodeJS.ErrnoException).code);
  await until(() => far.length === 1);
  const [near, other] = [codeOf(one), codeOf(far[0]!)];
  gate.cut();
  expect([await near, await other]).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(await codeOf(connect(portOf(inside), "127.0.0.1"))).toBe("ECONNRESET");
  expect(far).toHaveLength(1);
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
