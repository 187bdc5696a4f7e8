import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { expect, it, vi } from "vitest";
import { until } from "../../../../test/until.ts";
import { connectPipe } from "./websocket.ts";

it("loses no message that comes before anyone listens, nor a close", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  server.on("connection", (socket) => {
    socket.send("first");
    socket.send("second");
    socket.close();
  });
  const events = vi.spyOn(WebSocket.prototype, "emit");
  const pipe = await connectPipe(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  // both ends have closed, and nobody has listened to the pipe
  await until(() => events.mock.calls.filter(([event]) => event === "close").length === 2);
  events.mockRestore();
  const got: unknown[] = [];
  pipe.onMessage((message) => got.push(message));
  let closed = false;
  pipe.onClose(() => (closed = true));
  expect(got).toEqual(["first", "second"]);
  expect(closed).toBe(true);
  server.close();
});

it("masks what is said in words, and not ciphertext once more; what was sent gives its memory back", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  const frames: Buffer[] = [];
  server.on("connection", (socket, request) => {
    request.socket.prependListener("data", (bytes: Buffer) => frames.push(Buffer.from(bytes)));
    socket.on("message", (data, binary) => binary && socket.send(data));
  });
  const pipe = await connectPipe(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  let came = "";
  pipe.onMessage((message) => {
    if (typeof message === "string") return;
    came += Buffer.from(message).toString("latin1");
  });
  const [words, sent] = ["words that are said", new Uint8Array(20_000).fill(0x61)];
  pipe.send(words);
  pipe.send(sent);
  await until(() => came.length === 20_000);
  const wire = Buffer.concat(frames).toString("latin1");
  expect(wire).toContain("\0\0\0\0aaaaaaaa");
  expect(wire).not.toContain(words);
  await until(() => sent.length === 0);
  pipe.close();
  server.close();
});
