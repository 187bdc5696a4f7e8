/** What the first WebSocket says is passed on to the second, whole messages as they come: what a channel's relay is measured by. */
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";

const ends: WebSocket[] = [];
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
server.on("connection", (socket) => {
  ends.push(socket);
  socket.on("message", (data: Buffer) => ends.find((end) => end !== socket)?.send(data));
});
server.on("listening", () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
