/** Against this machine's own kernel: a side that has said all, and one that has closed while the other still speaks. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { expect, it } from "vitest";
import { guestConnection } from "./guest-connection.ts";

/** Says all, or closes, and is there still. */
const OTHER = `const server = require("node:net").createServer({ allowHalfOpen: true }, (socket) => process.argv[1] === "end" ? socket.end() : socket.destroy());
server.listen(0, "127.0.0.1", () => process.send(server.address().port));`;

it.each([
  ["end", false],
  ["close", true],
])("takes what QEMU does with a guest's connection, %s, for a break: %s", async (does, isBroken) => {
  const other = spawn(process.execPath, ["-e", OTHER, does], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  try {
    const [port] = (await once(other, "message")) as [number];
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    const connection = guestConnection(socket, other.pid!);
    connection.resume();
    await once(connection, "end");
    expect(await connection.wasBrokenOff()).toBe(isBroken);
    connection.destroy();
  } finally {
    other.kill();
  }
});
