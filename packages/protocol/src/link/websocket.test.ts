import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { expect, it } from "vitest";
import { connectPipe } from "./websocket.ts";

it("loses no message that comes before anyone listens, nor a close", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  server.on("connection", (socket) => {
    socket.send("first");
    socket.send("second");
    socket.close();
  });
  const pipe = await connectPipe(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const got: unknown[] = [];
  pipe.onMessage((message) => got.push(message));
  let closed = false;
  pipe.onClose(() => (closed = true));
  expect(got).toEqual(["first", "second"]);
  expect(closed).toBe(true);
  server.close();
});
