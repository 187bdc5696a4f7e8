/** A layer whose disk takes hours to write: its builder ends with whoever wanted it, not at its own deadline. */
import { readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { headerOf, paxOf } from "@xenoservers/testkit";
import { startTicksOf } from "../../packages/guests/src/programs/process-id.ts";
import { until } from "../until.ts";
import { openEnds, type EndsBench } from "./machine-ends.ts";
import { machines } from "./support.ts";

const TIB = 1024 ** 4;

/** A file of a tebibyte, of which the layer holds the last block: the rest is written as zeros. */
const hollow = (): Buffer =>
  Buffer.concat([
    paxOf(["GNU.sparse.size", String(TIB)], ["GNU.sparse.numblocks", "1"], ["GNU.sparse.map", `${TIB - 512},512`]),
    headerOf("hollow", "0", 512, Buffer.alloc(512, 1)),
    Buffer.alloc(1024),
  ]);

const childrenOf = async (pid: number): Promise<number[]> => {
  const own = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "")).split(" ").filter(Boolean).map(Number);
  return [...own, ...(await Promise.all(own.map(childrenOf))).flat()];
};

/** What builds disks below that folder, with all that it started. */
async function builders(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number)) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(`${folder}/`) && command.includes("sqfstar")) found.push(pid, ...(await childrenOf(pid)));
  }
  return [...new Set(found)];
}

machines("a machine that nobody wants any more", () => {
  let bench: EndsBench;
  beforeAll(async () => {
    bench = await openEnds();
  });
  afterAll(() => bench.close());

  it("is not made to the end: what writes its layer's disk is ended, and nothing is left of it", async () => {
    const file = path.join(bench.folder, "hollow.tar");
    await writeFile(file, hollow());
    const wanted = new AbortController();
    const vm = bench.image([await bench.blob(file)], ["true"]);
    const came = bench.run({ vm, diskMib: (2 * TIB) / 1024 ** 2, signal: wanted.signal });
    const written = async (pid: number): Promise<boolean> =>
      (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim() === "sqfstar";
    let all: number[] = [];
    await until(async () => {
      all = await builders(bench.folder);
      return (await Promise.all(all.map(written))).includes(true);
    });
    wanted.abort(new Error("its lease has ended"));
    expect(await came).toMatchObject({ failed: expect.stringMatching(/abort|its lease has ended/i) });
    await until(async () => (await Promise.all(all.map(startTicksOf))).every((ticks) => ticks === null));
    expect(await builders(bench.folder)).toEqual([]);
    expect(await readdir(path.join(bench.folder, "vm/machines"))).toEqual([]);
    expect((await readdir(path.join(bench.folder, "vm/cache"))).filter((name) => name.includes(".part"))).toEqual([]);
  });
});
