/** The port where leases are handed over, over real TCP. */
import { connect, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Pipe } from "@xenoservers/protocol/link";
import { Callers, connectForMove, listenForMoves, parseHostPort } from "./move-port.ts";

let server: Server;
let port: number;
let known: (() => boolean)[];
let far: PromiseWithResolvers<Pipe>;

beforeEach(async () => {
  far = Promise.withResolvers<Pipe>();
  known = [];
  // any free one
  server = await listenForMoves({ host: "127.0.0.1", port: 0 }, (pipe, isKnown) => {
    known.push(isKnown);
    far.resolve(pipe);
  });
  ({ port } = server.address() as AddressInfo);
});
afterEach(() => void server.close());

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
const closedOf = (pipe: Pipe): Promise<string | undefined> => new Promise((resolve) => pipe.onClose(resolve));

describe("a pipe to another server", () => {
  it("carries texts and bytes in their order, of any length, and its end", async () => {
    const near = await connectForMove({ host: "127.0.0.1", port });
    const heard: (string | Uint8Array)[] = [];
    const said = ["hellö", new Uint8Array(0), new Uint8Array(200_000).fill(7), "", "last"];
    const other = await far.promise;
    const all = new Promise<void>((resolve) => other.onMessage((message) => heard.push(message) === said.length && resolve()));
    for (const message of said) near.send(message);
    await all;
    expect(heard).toEqual(said);
    const closed = closedOf(other);
    near.close();
    expect(await closed).toBeUndefined();
  });

  it.each<[string, Buffer, string]>([
    ["a message that is too long", Buffer.from([0xff, 0, 0, 0, 0]), "a message is too long"],
    ["a text that is none", Buffer.from([0, 0, 0, 1, 1, 0xff]), "a text is no text"],
  ])("is closed for %s", async (_, bytes, why) => {
    const socket = connect(port, "127.0.0.1");
    const closed = closedOf(await far.promise);
    socket.write(bytes);
    expect(await closed).toBe(why);
    await once(socket, "close");
  });

  it("says where nobody listens", async () => {
    server.close();
    await expect(connectForMove({ host: "127.0.0.1", port })).rejects.toThrow(`the server at 127.0.0.1:${port} is not reached: `);
  });
});

describe("strangers at the port", () => {
  const came = async (localAddress: string): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1", localAddress }).on("error", () => {});
    const before = known.length;
    await once(socket, "connect");
    await until(() => known.length > before);
    return socket;
  };

  it("keep nobody out: of a thousand that say nothing few stay, and who comes from elsewhere is not among those that go", async () => {
    const quiet = await came("127.0.0.3");
    const crowd: Socket[] = [];
    let gone = 0;
    for (let i = 0; i < 1_000; i++) crowd.push((await came("127.0.0.2")).once("close", () => gone++).resume());
    await until(() => gone === 1_000 - 63);
    expect(crowd.slice(-63).every((socket) => !socket.destroyed)).toBe(true);
    expect(quiet.destroyed).toBe(false);
    for (const socket of [...crowd, quiet]) socket.destroy();
  });

  it("with an IPv6 network for themselves are one crowd, by however many addresses they come", () => {
    const callers = new Callers();
    const gone: string[] = [];
    const come = (remoteAddress: string): void => {
      const socket = { remoteAddress, once: () => socket, destroy: () => (gone.push(remoteAddress), socket) } as unknown as Socket;
      callers.come(socket);
    };
    come("fd00:0:0:2::5");
    for (let i = 1; i <= 64; i++) come(`fd00:0:0:1::${i}`);
    expect(gone).toEqual(["fd00:0:0:1::1"]);
  });

  it("are counted apart from who hands leases over, of whom there are eight at once", async () => {
    const givers: Socket[] = [];
    for (let i = 0; i < 9; i++) givers.push(await came("127.0.0.2"));
    expect(known.map((isKnown) => isKnown())).toEqual([...Array<boolean>(8).fill(true), false]);
    givers[0]!.destroy();
    await until(() => known[8]!());
    for (let i = 0; i < 100; i++) givers.push(await came("127.0.0.2"));
    expect(givers.slice(1, 9).every((socket) => !socket.destroyed)).toBe(true);
    for (const socket of givers) socket.destroy();
  });
});

it("a message comes whole in whatever pieces it is sent", async () => {
  const socket = connect(port, "127.0.0.1").setNoDelay(true);
  const heard: (string | Uint8Array)[] = [];
  const pipe = await far.promise;
  const all = new Promise<void>((resolve) => pipe.onMessage((message) => heard.push(message) === 3 && resolve()));
  const bytes = Buffer.from([0, 0, 0, 2, 1, 0x68, 0x69, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 7, 8, 9]);
  for (const byte of bytes) await new Promise<void>((resolve) => socket.write(Uint8Array.of(byte), () => resolve()));
  await all;
  expect(heard).toEqual(["hi", new Uint8Array(0), new Uint8Array([7, 8, 9])]);
  socket.destroy();
});

it.each([
  ["10.0.0.5:4433", { host: "10.0.0.5", port: 4_433 }],
  ["[fd00::5]:1", { host: "fd00::5", port: 1 }],
  ["second.example:65535", { host: "second.example", port: 65_535 }],
  ["10.0.0.5", null],
  ["fd00::5:4433", null],
  ["a:65536", null],
  ["a:0", null],
  [":1", null],
])("reads %s", (text, expected) => expect(parseHostPort(text)).toEqual(expected));
