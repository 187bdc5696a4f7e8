/** What is refused before it is read: long bodies without a place, and what is asked besides the API without tokens. */
import { once } from "node:events";
import { connect, type AddressInfo, type Socket } from "node:net";
import { systemTimers } from "@xenoservers/protocol/link";
import { afterEach, expect, it, vi } from "vitest";
import { until } from "../../../../test/until.ts";
import type { DoorOptions } from "./door.ts";
import { World } from "./world.fixture.ts";

let world: World;
const sockets: Socket[] = [];

async function start(door: DoorOptions, proxies: string[] = []): Promise<number> {
  world = new World(undefined, door);
  world.trustProxy = proxies;
  await world.start();
  await world.app.listen({ host: "127.0.0.1", port: 0 });
  return (world.app.server.address() as AddressInfo).port;
}
afterEach(async () => {
  vi.restoreAllMocks();
  for (const socket of sockets.splice(0)) socket.destroy();
  await world.close();
});

/** Begins a body and hears what is said about it. */
function half(port: number, head: string, body: string): { socket: Socket; heard: () => Promise<string> } {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  socket.write(`POST /api/v1/documents HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${head}\r\n\r\n${body}`);
  return { socket, heard: async () => String((await once(socket, "data"))[0]) };
}

function hasPlace(): boolean {
  const leave = world.hub.door.take("longBodies", "127.0.0.1");
  leave?.();
  return leave !== null;
}

const FEW = { places: { longBodies: { max: 9, perHolder: 2 } } };

it.each([
  ["says that it is long", "content-length: 200000", "{"],
  ["does not say how long it is", "transfer-encoding: chunked", "1\r\n{\r\n"],
])("a body that %s takes a place, and gives it back", async (_, head, body) => {
  const port = await start(FEW);
  const taken = [half(port, head, body), half(port, head, body)];
  await until(() => hasPlace() === false);
  const third = half(port, head, body);
  expect(await third.heard()).toMatch(/^HTTP\/1\.1 503 [\s\S]*retry-after: 5[\s\S]*"overloaded"/);
  taken[0]?.socket.destroy();
  await until(hasPlace);
});

it("who is refused a long body is read no more", async () => {
  const port = await start({ places: { longBodies: { max: 0, perHolder: 0 } } });
  const { socket, heard } = half(port, "content-length: 200000000", "{");
  expect(await heard()).toContain("503");
  const ended = once(socket, "close");
  let took = 0;
  let isFull = false;
  while (!isFull && !socket.destroyed) {
    isFull = !socket.write(Buffer.alloc(1024 * 1024), (error) => void (took += error ? 0 : 1));
    if (isFull) await Promise.race([once(socket, "drain").then(() => void (isFull = false)), ended]).catch(() => {});
  }
  expect(took).toBeLessThan(50);
});

it("a short body needs no place", async () => {
  const port = await start({ places: { longBodies: { max: 0, perHolder: 0 } } });
  expect(await half(port, "content-length: 2", "{}").heard()).toContain("bad_request");
});

it("what is asked besides the API costs tokens as the API does", async () => {
  await start({ requestsPerSecond: 1 });
  const code = async (url: string): Promise<number> => (await world.app.inject({ method: "GET", url })).statusCode;
  expect(await code("/healthz")).toBe(200);
  // tokens come back meanwhile
  for (const url of ["/healthz", "/api/openapi.json", "/nowhere"]) while ((await code(url)) !== 429);
});

it.each([
  ["is read less than it sends, and is not cut", [], 20],
  ["that is a proxy's is read on: it carries others' requests, too", ["127.0.0.1"], 21],
])("a connection whose requests cannot pay %s", async (_, proxies, read) => {
  const rests: (() => void)[] = [];
  const after = systemTimers.after.bind(systemTimers);
  vi.spyOn(systemTimers, "after").mockImplementation((ms, action) => (ms === 1_000 ? (rests.push(action), () => {}) : after(ms, action)));
  const port = await start({ requestsPerSecond: 1 }, proxies);
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  let answers = "";
  let sent = 0;
  const count = (): number => answers.split("HTTP/1.1 ").length - 1;
  socket.on("data", (bytes: Buffer) => void (answers += bytes.toString()));
  const ask = async (): Promise<void> => {
    sent++;
    socket.write("GET /api/v1/market HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await until(() => count() === sent);
  };
  while (!answers.includes("429")) await ask();
  const reads = vi.spyOn(world.hub.door, "admits");
  sent++;
  socket.write("GET /api/v1/market HTTP/1.1\r\nhost: localhost\r\n\r\n");
  // others are served, and it is not
  for (let i = 0; i < 20; i++) await world.app.inject({ method: "GET", url: "/api/v1/market" });
  if (proxies.length > 0) await until(() => count() === sent);
  expect(reads.mock.calls.length).toBe(read);
  for (const rest of rests) rest();
  await until(() => count() === sent);
});
