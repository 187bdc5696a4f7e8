/**
 * A server that signs a list of what the runs of a lease came to which cannot be so: no input gets what another printed, or nothing, as its
 * own. The lease is named, all of its inputs are run anew, and that server gets no lease of several any more.
 */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import * as check from "@xenoservers/engine/check";
import { RUNS_FILE, type RunEnd } from "@xenoservers/protocol";
import type { GuestDriver } from "@xenoservers/xenoserver";
import { beyond } from "../../packages/sdk/src/facade/all-beyond.ts";
import { OpenMarket } from "../../packages/sdk/src/facade/market.ts";
import { hereWith } from "../../packages/sdk/src/node/here.ts";
import { reading } from "../process/jobs.ts";
import { startMarket, type TestMarket } from "../process/market.ts";
import { until } from "../until.ts";

let market: TestMarket;
let opened: OpenMarket;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-lists-of-runs-"));
  vi.stubEnv("XENO_HOME", path.join(folder, "home"));
  market = await startMarket();
  opened = new OpenMarket(market.customer, hereWith(check), beyond);
});
afterAll(async () => {
  await market.close();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** A server that signs another list of what the runs came to. */
function listing(change: (ends: RunEnd[]) => unknown): (driver: GuestDriver) => GuestDriver {
  return (driver) => ({
    ...driver,
    async prepare(job) {
      const prepared = await driver.prepare(job);
      return {
        ...prepared,
        async begin() {
          const guest = await prepared.begin();
          let list = Buffer.alloc(0);
          const digest = () => createHash("sha256").update(list).digest("hex");
          const ended = guest.ended.then(async (end) => {
            if (end.kind !== "result") return end;
            const [first, ...rest] = end.tree;
            if (first?.kind !== "file" || first.path !== RUNS_FILE) return end;
            const honest = Buffer.from(await guest.readOutput(first.digest, 0, first.size)).toString();
            const lie = change(JSON.parse(honest) as RunEnd[]);
            list = Buffer.from(typeof lie === "string" ? lie : JSON.stringify(lie));
            return { ...end, tree: [{ ...first, digest: digest(), size: list.length }, ...rest] };
          });
          const readOutput: typeof guest.readOutput = async (of, offset, length) =>
            of === digest() ? list.subarray(offset, offset + length) : guest.readOutput(of, offset, length);
          return { ...guest, ended, readOutput };
        },
      };
    },
  });
}

const SMALL = { cpu: 1, mem: "16M", disk: "1M", maxOutput: "1M", budget: "0.05" } as const;
const WORDS = ["a", "bb", "ccc", "dddd", "eeeee", "!ffffff"];

const with1 = (of: (end: RunEnd, i: number) => Partial<RunEnd>) => (ends: RunEnd[]) => ends.map((end, i) => ({ ...end, ...of(end, i) }));

it.each<[string, (ends: RunEnd[]) => unknown, RegExp]>([
  ["what one printed as another's", with1((end, i) => ({ stdoutBytes: end.stdoutBytes + ([1, -1][i] ?? 0) })), /another stdout of run 0/],
  ["all of it as the first one's", with1((_end, i) => (i === 0 ? { stdoutBytes: Number.MAX_SAFE_INTEGER } : {})), /more of stdout/],
  ["two of five as all that could be done", (ends) => ends.slice(0, 2), /2 of its 5 runs/],
  ["a trap that ended with 0", with1((_end, i) => (i === 1 ? { ending: "trap" } : {})), /no list/],
  ["no list", () => "{", /no list/],
])("lists %s", async (name, change, says) => {
  const { server } = await market.addServer(name, await market.newParty(name), { wrapDriver: listing(change) });
  await until(async () => (await opened.search(`server=${server.id} label.wasm-runs=1`)).offers.length === 1);
  const module = await reading();
  const warned: string[] = [];
  const results = await opened.map(
    WORDS,
    (word) => ({
      ...{ ...SMALL, module, args: ["/in/x"], files: { x: `${word}\n` }, where: `server=${server.id}` },
      onWarning: (text) => void warned.push(text),
    }),
    { parallel: 1 },
  ).all;
  expect(results.map(({ ok, result }) => [ok, result?.stdout, result?.run])).toEqual(
    WORDS.map((word) => [!word.startsWith("!"), `${word}\n`, undefined]),
  );
  expect(warned).toEqual([expect.stringMatching(says)]);
});
