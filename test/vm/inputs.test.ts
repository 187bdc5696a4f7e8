/** What machines brought, for their customer's next one: kernels, images and what goes in with them; and nothing of it where he wishes so. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import path from "node:path";
import { forgetting, type Blob, type BuiltVm } from "@xenoservers/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { orderAndFollow, type TestMarket } from "../process/market.ts";
import { busyboxLayout, cliHome, initrd, kernelMachine, machines, vmMarket, wantedFor } from "./support.ts";

machines("what a machine brought", () => {
  let market: TestMarket;
  let cli: Awaited<ReturnType<typeof cliHome>>;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-inputs-"));
    market = await vmMarket();
    cli = await cliHome(market);
  });
  afterAll(async () => {
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Files below a folder of the server, by their paths from there. */
  async function filesIn(...names: string[]): Promise<string[]> {
    const at = path.join(market.folder, "server", ...names);
    const all = await readdir(at, { recursive: true, withFileTypes: true }).catch(() => []);
    return all.filter((each) => each.isFile()).map((each) => path.relative(at, path.join(each.parentPath, each.name)));
  }

  /** How much of it was asked for. */
  async function sent(job: BuiltVm): Promise<number> {
    let bytes = 0;
    const counted = (blob: Blob): Blob => ({
      ...blob,
      read(offset, length) {
        bytes += length;
        return blob.read(offset, length);
      },
    });
    const blobs = new Map([...job.blobs].map(([digest, blob]) => [digest, counted(blob)]));
    const run = await orderAndFollow(market.customer, { ...job, blobs }, wantedFor(job));
    const { stdout, lease } = await run.end();
    expect([stdout.includes("it runs"), lease.end?.reason]).toEqual([true, "completed"]);
    return bytes;
  }

  it("is a kernel that goes up once, and each time where nothing is to be kept of it", async () => {
    const job = await kernelMachine(await initrd("echo it runs; poweroff -f"));
    const all = [...job.blobs.values()].reduce((sum, { size }) => sum + size, 0);
    expect(await sent(forgetting(job))).toBe(all);
    expect([await filesIn("vm", "images"), await filesIn("inputs")]).toEqual([[], []]);
    expect(await sent(job)).toBe(all);
    expect(await sent(job)).toBe(0);
    expect(await sent(forgetting(job))).toBe(all);
    expect([await filesIn("vm", "images"), await filesIn("inputs")]).toEqual([[], []]);
  });

  it("is an image's layers and its inputs, and disks that are made for their customer alone", async () => {
    const layout = await busyboxLayout(folder);
    const input = path.join(folder, "input");
    await mkdir(input);
    await writeFile(path.join(input, "data"), randomBytes(12 * 1024 * 1024));
    const run = async (...wish: string[]) => {
      const words = ["--accel", "any", "--mem", "192M", "--disk", "256M", "--user", "root", "--in", input, ...wish, `oci:${layout}:box`];
      const ran = await cli.xeno("run", ...words, "--", "sh", "-c", "wc -c < /in/data");
      expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: "12582912\n" });
      return /^sent +(nothing|[\d.]+ \w+)/m.exec(ran.stderr)?.[1];
    };
    const disks = async (): Promise<string[]> => (await filesIn("vm", "cache")).filter((name) => name.endsWith(".sqfs"));
    expect(await run("--forget-inputs")).toMatch(/^1\d\.\d MiB$/);
    // nor is a booted guest kept, which has bytes of its image's disk in its memory: one that is made again is another
    expect([await disks(), await filesIn("inputs"), await filesIn("vm", "snapshots")]).toEqual([[], [], []]);
    expect(await run()).toMatch(/^1\d\.\d MiB$/);
    expect((await disks()).map((name) => name.split(path.sep)[0])).toContain("customers");
    expect(await run()).toBe("nothing");
  });
});
