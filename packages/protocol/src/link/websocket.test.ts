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
