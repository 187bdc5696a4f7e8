/** The port where leases are handed over, over real TCP. */
import type { Server } from "node:net";
import { connect, type AddressInfo } from "node:net";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Pipe } from "@xenoservers/protocol/link";
import { connectForMove, listenForMoves, parseHostPort } from "./move-port.ts";

let server: Server;
let port: number;
let far: PromiseWithResolvers<Pipe>;

beforeEach(async () => {
  far = Promise.withResolvers<Pipe>();
  // any free one
  server = await listenForMoves({ host: "127.0.0.1", port: 0 }, (pipe) => far.resolve(pipe));
  ({ port } = server.address() as AddressInfo);
});
afterEach(() => void server.close());

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
