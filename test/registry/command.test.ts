/** `xeno run` and an image: it is fetched before anything is looked for, and goes on where an earlier run was ended. */
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ifThere } from "@xenoservers/protocol/files";
import { openImage } from "@xenoservers/sdk";
import { command, started } from "../process/command.ts";
import { until } from "../until.ts";
import { LAYER_BYTES, startProxy, testImage, upstreamOf, type Proxy } from "./proxy.ts";

const image = testImage();
const hex = (image.layers[0] ?? "").slice("sha256:".length);
const HALF = LAYER_BYTES / 2;
let home: string;
let proxy: Proxy;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "xeno-image-command-"));
});
afterEach(async () => {
  await proxy.close();
  await rm(home, { recursive: true, force: true });
});
const rangesOfFirst = (): (string | undefined)[] => proxy.log.filter(({ path: at }) => at.endsWith(hex)).map(({ range }) => range);

it("says what a registry says before anything is looked for or ordered: there is no market here", async () => {
  proxy = await startProxy(
    upstreamOf(image),
    () =>
      ({ say }) =>
        say(429, { "retry-after": "3600" }),
  );
  const { code, stdout, stderr } = await command(home, "run", `${proxy.host}/box`);
  expect([code, stdout]).toEqual([125, ""]);
  expect(stderr).toMatch(
    /the manifest of .*\/box cannot be had: .* has had too many requests \(429\), and asks to come again in 3600 s: try then/,
  );
  expect(stderr).not.toMatch(/\n\s+at /);
});

it("goes on with a layer where a run was ended", async () => {
  proxy = await startProxy(
    upstreamOf(image),
    () =>
      ({ path: at, times, stall, pass }) =>
        at.endsWith(hex) && times === 1 ? stall(HALF) : pass(),
  );
  const cache = path.join(home, "data/oci");
  const { child, done } = started(home, ["run", `${proxy.host}/box`]);
  const sizes = async (): Promise<number[]> => {
    const names = (await readdir(cache).catch(() => [])).filter((name) => name.endsWith(".part"));
    return Promise.all(names.map(async (name) => (await ifThere(stat(path.join(cache, name))))?.size ?? 0));
  };
  await until(async () => (await sizes()).includes(HALF));
  child.kill("SIGKILL");
  expect((await done).stderr).toContain("fetching layer 1 of 2, 300 kB");
  await openImage(`${proxy.host}/box`, cache);
  expect(rangesOfFirst()).toEqual([undefined, `bytes=${HALF}-`]);
  expect(await sizes()).toEqual([]);
});

it.each([
  ["of another blob is asked for once more, whole", false, Buffer.alloc(HALF, 7), [`bytes=${HALF}-`, undefined]],
  ["longer than the layer counts for nothing", false, Buffer.alloc(LAYER_BYTES + 1), [undefined]],
  ["of a process that still runs stays its own", true, Buffer.alloc(HALF), [undefined]],
])("what is left %s", async (_, runs, bytes, ranges) => {
  proxy = await startProxy(
    upstreamOf(image),
    () =>
      ({ pass }) =>
        pass(),
  );
  await writeFile(path.join(home, `${hex}.part`), bytes);
  if (runs) await writeFile(path.join(home, `${hex}.lock`), String(process.ppid));
  await openImage(`${proxy.host}/box`, home);
  expect(rangesOfFirst()).toEqual(ranges);
  expect((await readdir(home)).filter((name) => name.endsWith(".part"))).toHaveLength(runs ? 1 : 0);
});
