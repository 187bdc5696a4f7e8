/** What the guest says of its job's end, byte by byte as it comes. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, it } from "vitest";
import { monotonicMs, type SaidAgo } from "../machine/unheard.ts";
import { readAnswer } from "./job-port.ts";
import { PortReader } from "./port-reader.ts";

const TOKEN = "ab".repeat(16);
/** No pieces of an archive, and that it is whole. */
const NOTHING_BACK = Buffer.from([0, 0, 0, 0, 1]);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-job-port-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function answered(...said: (string | Buffer)[]) {
  const port = new PassThrough();
  const agos: SaidAgo[] = [];
  const end = readAnswer(new PortReader(port), { token: TOKEN, folder, bytesMax: 1_024, ago: (ago) => agos.push(ago) });
  for (const each of said) port.write(each);
  return { end: await end, agos: agos.map(({ agoMs }) => agoMs) };
}

it("has how long ago the job ended, as its init says it", async () => {
  const { end, agos } = await answered("\n", `${TOKEN} ended 12345\n${TOKEN} 3\n`, NOTHING_BACK);
  expect([end?.exitCode, agos]).toEqual([3, [12_345]]);
});

it("has the end of an init of an earlier version, which does not say it", async () => {
  const { end, agos } = await answered(`\n${TOKEN} 3\n`, NOTHING_BACK);
  expect([end?.exitCode, agos]).toEqual([3, []]);
});

it.each(["ended -5", "ended 1e9", "ended ", "ended 1234567890123456", "ended 5 5"])("takes %o for nothing", async (words) => {
  const { end, agos } = await answered(`\n${TOKEN} ${words}\n${TOKEN} 0\n`, NOTHING_BACK);
  expect([end?.exitCode, agos]).toEqual([0, []]);
});

it.each([
  [0, "not everything could be handed back"],
  [1, ""],
  [2, "nothing comes back: /out in this image is no folder"],
  [3, "not everything could be handed back"],
])("says what of its files did not come: %i", async (said, detail) => {
  const { end } = await answered(`${TOKEN} 0\n`, Buffer.from([0, 0, 0, 0, said]));
  expect(end?.detail).toBe(detail);
});

it("takes no word of another's, and of several the last", async () => {
  const { agos } = await answered(`\n${"cd".repeat(16)} ended 7\n${TOKEN} 0\n`, NOTHING_BACK);
  expect(agos).toEqual([]);
  const twice = await answered(`${TOKEN} ended 8\n${TOKEN} ended 9\n${TOKEN} 0\n`, NOTHING_BACK);
  expect(twice.agos).toEqual([9]);
});

it("counts from when the end is heard: a word before it is worth nothing of what comes between", async () => {
  const port = new PassThrough();
  const said = Promise.withResolvers<SaidAgo>();
  const end = readAnswer(new PortReader(port), { token: TOKEN, folder, bytesMax: 1_024, ago: said.resolve });
  port.write(`${TOKEN} ended 8\n`);
  await new Promise((resolve) => setImmediate(resolve));
  const between = monotonicMs();
  port.write(`${TOKEN} 0\n`);
  port.write(NOTHING_BACK);
  expect((await said.promise).heardMs).toBeGreaterThanOrEqual(between);
  expect(await end).not.toBeNull();
});
