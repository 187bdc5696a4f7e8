/**
 * A job's bytes on their way, by real programs: cut at many places, spoiled, their broker or their server killed, their customer gone and
 * back with the same job. They go on where they were, and what runs has the right ones.
 */
import type { ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SMALLEST_MODULE } from "../support/smallest-module.ts";
import { cases } from "../thorough.ts";
import { until } from "../until.ts";
import { CutProxy } from "./cut-proxy.ts";
import { Programs, kill9, told, type Done, type Started } from "./programs.ts";

const MIB = 1024 * 1024;
const INPUT_MIB = 24;
/** Of a cut: a channel's window, what is in sockets, and what was asked for and is not on disk. */
const LOST_MIB = 5;

let programs: Programs;
let proxy: CutProxy;
let broker: ChildProcess;
let server: ChildProcess;
let runs = 0;

beforeAll(async () => {
  programs = await Programs.open();
  await writeFile(programs.at("job.wasm"), SMALLEST_MODULE);
  broker = await programs.startBroker();
  server = await programs.startServer("--enrol", await programs.people());
  proxy = await CutProxy.open(() => Number(new URL(programs.url).port));
  // a customer that goes by way of the proxy
  await programs.ok("customer", ["login", proxy.url, "--yes", "--name", "far", "--context", "far"]);
  const { party } = JSON.parse(await programs.ok("customer", ["whoami", "--json"])) as { party: string };
  await programs.ok("customer", ["broker", "credit", party, "10", "--data", programs.at("broker")]);
});
afterAll(async () => {
  await proxy.close();
  await told(server);
  await kill9(broker);
  await programs.remove();
});

/** Bytes that the server has never seen. */
async function input(): Promise<{ folder: string; digest: string }> {
  const folder = programs.at(`in-${runs++}`);
  const bytes = randomBytes(INPUT_MIB * MIB);
  await mkdir(folder);
  await writeFile(path.join(folder, "input"), bytes);
  return { folder, digest: createHash("sha256").update(bytes).digest("hex") };
}

const run = (folder: string) =>
  programs.xeno("customer", ["run", programs.at("job.wasm"), "--in", folder, "--cpu", "1", "--mem", "128M", "--disk", "64M"]);

async function isHeld({ done }: Started): Promise<void> {
  let ended: Done | null = null;
  void done.then((how) => (ended = how));
  await until(() => proxy.happened.length === 1 || ended !== null);
  expect(ended).toBeNull();
}

const sentMib = (stderr: string): number => Number(/^sent +([\d.]+) MiB/m.exec(stderr)?.[1]);

describe("a job's bytes", () => {
  it("go on where they were, wherever their link is cut", async () => {
    const { folder } = await input();
    const places = [1, 3.3, 11, 19.7, 23].map((mib) => ({ at: mib * MIB, what: "cut" as const }));
    proxy.plan(...places);
    const { code, stderr } = await run(folder).done;
    expect(code, stderr).toBe(0);
    expect(proxy.happened).toEqual(places.map(() => "cut"));
    expect(proxy.passed).toBeLessThan((INPUT_MIB + places.length * LOST_MIB) * MIB);
    // and for the next lease they are there
    proxy.plan();
    const next = await run(folder).done;
    expect(next.code, next.stderr).toBe(0);
    expect(next.stderr).toMatch(new RegExp(`^sent +${SMALLEST_MODULE.length} B, .*${INPUT_MIB}\\.0 MiB were there$`, "m"));
  });

  it("that are changed on the way are noticed at once, and come again from there", async () => {
    const { folder } = await input();
    proxy.plan(...[5, 15].map((mib) => ({ at: mib * MIB, what: "spoil" as const })));
    const { code, stderr } = await run(folder).done;
    expect(code, stderr).toBe(0);
    expect(proxy.happened).toEqual(["spoil", "spoil"]);
    expect(proxy.passed).toBeLessThan((INPUT_MIB + 2 * LOST_MIB) * MIB);
  });

  const restarts: [string, () => Promise<void>][] = [
    [
      "broker",
      async () => {
        await kill9(broker);
        broker = await programs.startBroker();
      },
    ],
    [
      "server",
      async () => {
        await kill9(server);
        server = await programs.startServer();
      },
    ],
  ];
  it.each(restarts.slice(0, cases(1, restarts.length)))("go on when their %s is killed half-way", async (_, restart) => {
    const { folder } = await input();
    proxy.plan({ at: 12 * MIB, what: "hold" });
    const started = run(folder);
    await isHeld(started);
    await restart();
    proxy.release();
    const { code, stderr } = await started.done;
    expect(code, stderr).toBe(0);
    expect(proxy.passed).toBeLessThan((INPUT_MIB + 2 * LOST_MIB) * MIB);
  });

  it("that came before their customer left are not sent again with the same job", async () => {
    const { folder } = await input();
    proxy.plan({ at: 12 * MIB, what: "hold" });
    const first = run(folder);
    await isHeld(first);
    first.child.kill("SIGINT");
    const left = await first.done;
    expect([left.code, left.stderr]).toEqual([130, expect.stringContaining("withdrawn")]);
    proxy.release();
    proxy.plan();
    const { code, stderr } = await run(folder).done;
    expect(code, stderr).toBe(0);
    expect(sentMib(stderr)).toBeLessThan(INPUT_MIB - 12 + LOST_MIB);
    expect(stderr).toContain("were there");
  });
});
