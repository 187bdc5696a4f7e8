/** What an operator reads of a database that is not there. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openStore } from "../main.ts";

let dataFolder: string;
beforeAll(async () => {
  dataFolder = await mkdtemp(path.join(tmpdir(), "xeno-no-database-"));
});
afterAll(() => rm(dataFolder, { recursive: true, force: true }));

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function opening(databaseUrl: string): Promise<{ why: string; said: string[] }> {
  const said: string[] = [];
  const why = await openStore({ dataFolder, databaseUrl, progress: (what) => said.push(what) }).then(
    () => "it opens",
    (error: Error) => error.message,
  );
  return { why, said };
}

it.each(["foo", "localhost:5432/market", "http://localhost/market", ""])("%j is no address of a database", async (url) => {
  expect(await opening(url)).toEqual({
    why: "DATABASE_URL is no address of a PostgreSQL database: write postgres://USER@HOST:5432/DATABASE",
    said: [],
  });
});

it("does not say that it reached what it did not reach, nor name anything but the database", async () => {
  const port = await freePort();
  const { why, said } = await opening(`postgres://xeno:secret@127.0.0.1:${port}/market`);
  expect(why).toMatch(/^the database cannot be used: nothing answers there; is it running, and is DATABASE_URL right\?/);
  expect(why).not.toContain("secret");
  expect(said).toEqual([]);
});

it("says that a socket is not there", async () => {
  expect((await opening(`postgres:///market?host=${dataFolder}`)).why).toMatch(/^the database cannot be used: its socket is not there/);
});

/** What answers there says this of itself, as PostgreSQL would, and hangs up. */
async function answering(code: string): Promise<{ why: string; close: () => void }> {
  const words = Buffer.from(`SFATAL\0VFATAL\0C${code}\0Mwords\0\0`);
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeInt32BE(words.length + 4, 1);
  const server = createServer((socket) => socket.on("error", () => {}).once("data", () => socket.end(Buffer.concat([head, words]))));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { why } = await opening(`postgres://xeno:secret@127.0.0.1:${(server.address() as AddressInfo).port}/market`);
  return { why, close: () => void server.close() };
}

it.each([
  ["57P03", "it is just starting or ending, or recovers from a crash; start again once it is ready (words)"],
  ["57P01", "it is being stopped; start again once it is back (words)"],
  ["53300", "it has no connection left; raise its max_connections, or end what holds them (words)"],
])("says what a database that takes no connection says (%s)", async (code, words) => {
  const { why, close } = await answering(code);
  close();
  expect(why).toBe(`the database cannot be used: ${words}`);
});
