import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, it } from "vitest";
import { Typed } from "../typed.fixture.ts";
import { serverDrain } from "./server-drain.ts";

const typed = new Typed();
const folders: string[] = [];
afterEach(async () => {
  typed.leave();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

it("is told to a server that does not say which leases will stay", async () => {
  typed.listen();
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-drain-"));
  folders.push(folder);
  const heard: unknown[] = [];
  const daemon = createServer((socket) =>
    socket.on("data", (line: Buffer) => {
      const { command } = JSON.parse(line.toString()) as { command: string };
      heard.push(command);
      socket.end(command === "drain" ? '{"state":"drained"}\n' : "");
    }),
  ).listen(path.join(folder, "control.sock"));
  await serverDrain({ data: folder, json: true, undo: false, to: { server: "s", host: "127.0.0.1", port: 1 } });
  daemon.close();
  expect(heard).toEqual(["moves", "drain"]);
});
