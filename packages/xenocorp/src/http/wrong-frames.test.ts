/** Frames that no client may send (RFC 6455): servers without a listener for a socket's errors were ended by each of them. */
import { connect, type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { World } from "./world.fixture.ts";

let world: World;
beforeAll(async () => {
  world = new World();
  await world.start();
  await world.app.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(() => world.close());

const UPGRADE = [
  "GET /api/v1/link HTTP/1.1",
  ...["host: localhost", "connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13"],
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  "\r\n",
].join("\r\n");

/** What comes back until the broker hangs up, of which this side never speaks. */
function answerTo(frame: readonly number[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect((world.app.server.address() as AddressInfo).port, "127.0.0.1");
    const parts: Buffer[] = [];
    socket.on("data", (part: Buffer) => parts.push(part));
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNRESET" ? undefined : reject(error)));
    socket.on("close", () => resolve(Buffer.concat(parts)));
    socket.write(Buffer.concat([Buffer.from(UPGRADE), Buffer.from(frame)]));
  });
}

const MASK = [0, 0, 0, 0];
it.each([
  ["without a mask", [0x81, 2, 104, 105]],
  ["with the bit of an extension that nobody asked for", [0xc1, 0x81, ...MASK, 120]],
  ["with a reserved bit", [0xa1, 0x81, ...MASK, 120]],
  ["of a kind that is reserved", [0x83, 0x80, ...MASK]],
  ["of a control kind that is reserved", [0x8b, 0x80, ...MASK]],
  ["that goes on with a message that nobody began", [0x80, 0x80, ...MASK]],
  ["that begins a message within another", [0x01, 0x81, ...MASK, 120, 0x81, 0x81, ...MASK, 120]],
  ["that is a ping in parts", [0x09, 0x80, ...MASK]],
  ["that is a ping of more than 125 bytes", [0x89, 0xfe, 0, 126, ...MASK, ...Array.from({ length: 126 }, () => 0)]],
  ["that closes with half a code", [0x88, 0x81, ...MASK, 3]],
  ["that is longer than numbers are", [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...MASK]],
  ["of text that is none", [0x81, 0x81, ...MASK, 0xff]],
])("a frame %s ends its own link, and nothing else", async (_, frame) => {
  const answer = await answerTo(frame);
  expect(answer.toString("latin1")).toMatch(/^HTTP\/1\.1 101 /);
  expect((await world.app.inject("/healthz")).statusCode).toBe(200);
});
