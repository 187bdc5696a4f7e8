/** A map where no server does several inputs in one lease, and where one does: folders of each input, one that fails, one that never ends. */
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import * as check from "@xenoservers/engine/check";
import { beyond } from "../../packages/sdk/src/facade/all-beyond.ts";
import { OpenMarket } from "../../packages/sdk/src/facade/market.ts";
import { hereWith } from "../../packages/sdk/src/node/here.ts";
import type { Daemon } from "@xenoservers/xenoserver";
import { until } from "../until.ts";
import { reading } from "./jobs.ts";
import { startMarket, type TestMarket } from "./market.ts";

let market: TestMarket;
let opened: OpenMarket;
let folder: string;
let old: Daemon;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-map-servers-"));
  vi.stubEnv("XENO_HOME", path.join(folder, "home"));
  market = await startMarket();
  // as servers were before they did several
  old = await market.addServer("old", await market.newParty("old"), {
    wrapDriver: (driver) => ({ ...driver, capabilities: { ...driver.capabilities, runs: false } }),
  });
  opened = new OpenMarket(market.customer, hereWith(check), beyond);
});
afterAll(async () => {
  await market.close();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const SMALL = { cpu: 1, mem: "16M", disk: "1M", maxOutput: "1M", budget: "0.05" } as const;

it("has a lease for each input where no server does several", async () => {
  const module = await reading();
  const results = await opened.map(
    ["a", "b", "c", "d", "e", "f"],
    (word) => ({ ...SMALL, module, args: ["/in/x"], files: { x: `${word}\n` }, where: `server=${old.server.id}` }),
    { parallel: 1 },
  ).all;
  expect(results.map(({ result }) => [result?.stdout, result?.run])).toEqual(
    ["a", "b", "c", "d", "e", "f"].map((word) => [`${word}\n`, undefined]),
  );
  expect(new Set(results.map(({ result }) => result?.lease)).size).toBe(6);
});

const SCRIPT = `
import sys
name = sys.argv[1]
open("/out/" + name, "w").write("left by " + name)
print(name)
if name == "n3": raise SystemExit(3)
while name == "n5": pass
`;

it("brings what each of several left to its own folder; one fails for itself, and one that never ends holds up nobody", async () => {
  const { server } = await market.addServer("new", await market.newParty("new"));
  await until(async () => (await opened.search(`server=${server.id} label.wasm-runs=1`)).offers.length === 1);
  const names = Array.from({ length: 9 }, (_, i) => `n${i}`);
  await mkdir(path.join(folder, "out"));
  const results = await opened.map(
    names,
    (name) => ({
      python: { source: SCRIPT },
      args: [name],
      out: path.join(folder, "out", name),
      maxFuel: 40,
      budget: "0.05",
      where: `server=${server.id}`,
    }),
    { parallel: 1 },
  ).all;
  expect(results.map(({ result }) => result?.end.reason)).toEqual(names.map((name) => (name === "n5" ? "fuel-limit" : "completed")));
  expect(results.map(({ result }) => result?.exitCode)).toEqual(
    names.map((name) => ({ n3: 3, n5: null })[name] ?? (name === "n5" ? null : 0)),
  );
  for (const [i, name] of names.entries()) {
    expect(results[i]?.result?.stdout).toBe(`${name}\n`);
    expect(await readdir(path.join(folder, "out", name))).toEqual([name]);
    expect(await readFile(path.join(folder, "out", name, name), "utf8")).toBe(`left by ${name}`);
  }
  expect(results.filter(({ result }) => result?.run !== undefined).length).toBeGreaterThanOrEqual(4);
  expect(results[5]?.result?.run).toBeUndefined();
});
