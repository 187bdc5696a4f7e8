/** Images that attack: each is refused with its reason, at the price of the slot's minimum. */
import { mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fileBlob, type VmInput } from "@xenoservers/sdk";
import type { LeaseView } from "@xenoservers/protocol";
import { imageDisks } from "../../packages/guests/src/qemu/oci/image-disks.ts";
import { orderAndFollow, slotMinimumOf, until, type TestMarket } from "../process/market.ts";
import { machine, machines, run, vmMarket, wantedFor, NO_BLOB } from "./support.ts";

machines("images that attack", () => {
  let market: TestMarket;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-attack-"));
    market = await vmMarket();
  });
  afterAll(async () => {
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });

  type Refused = "image-refused" | "job-refused";
  /** Nothing ran, and what it costs is the slot's minimum. */
  async function refusedAs(reason: Refused, { id, end }: LeaseView): Promise<void> {
    expect(end).toMatchObject({ reason, billableMs: 0, dueNanos: await slotMinimumOf(market.customer, id) });
  }
  async function refusalOf(file: string, over: Partial<VmInput> & { format?: "qcow2" | "raw"; reason?: Refused } = {}): Promise<string> {
    const { format = "qcow2", reason = "image-refused", ...rest } = over;
    const blob = await fileBlob(file);
    const job = await machine({
      vm: { kind: "disk", image: { digest: blob.digest, format, url: null }, iso: null, seed: [] },
      diskMib: 64,
      blobs: [blob],
      ...rest,
    });
    const end = await (await orderAndFollow(market.customer, job, wantedFor(job))).end();
    await refusedAs(reason, end.lease);
    return end.delivered!.result.detail;
  }
  const at = (name: string): string => path.join(folder, name);

  it("refuses a backing file, which would be one of the host's", async () => {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", at("backing.qcow2"), "1M"]);
    expect(await refusalOf(at("backing.qcow2"))).toContain("refers to a backing file");
  });
  it("refuses an external data file", async () => {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", `data_file=${at("data.raw")}`, at("external.qcow2"), "1M"]);
    expect(await refusalOf(at("external.qcow2"))).toContain("keeps its data in another file");
  });
  it("refuses a disk larger than the one that was bought, however small its file", async () => {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", at("bomb.qcow2"), "1T"]);
    expect((await stat(at("bomb.qcow2"))).size).toBeLessThan(2_000_000);
    expect(await refusalOf(at("bomb.qcow2"), { reason: "job-refused" })).toContain("order more with --disk");
  });
  it("refuses damage: a cut off image, tables outside the file, overlapping tables", async () => {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", at("cut.qcow2"), "32M"]);
    await truncate(at("cut.qcow2"), 70_000);
    expect(await refusalOf(at("cut.qcow2"))).toMatch(/corrupt|cut off/);
    await writeFile(at("short.qcow2"), Buffer.from("514649fb00000003", "hex"));
    expect(await refusalOf(at("short.qcow2"))).toContain("cut off inside its header");
    await run("sh", [
      "-c",
      `head -c 8388608 /dev/urandom > ${at("random.raw")} && qemu-img convert -f raw -O qcow2 ${at("random.raw")} ${at("overlap.qcow2")}`,
    ]);
    const { open } = await import("node:fs/promises");
    const handle = await open(at("overlap.qcow2"), "r+");
    const header = Buffer.alloc(112);
    await handle.read(header, 0, 112, 0);
    const l1 = Number(header.readBigUInt64BE(40));
    const entry = Buffer.alloc(8);
    entry.writeBigUInt64BE((1n << 63n) | 0x30000n);
    await handle.write(entry, 0, 8, l1);
    await handle.close();
    expect(await refusalOf(at("overlap.qcow2"))).toContain("corrupt");
  });
  it("reads a raw image as raw, whatever its bytes say", async () => {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", at("disguise"), "1M"]);
    expect(await refusalOf(at("disguise"), { format: "raw" })).toContain("is qcow2, not raw");
    await writeFile(at("nothing"), "");
    expect(await refusalOf(at("nothing"), { format: "raw" })).toContain("empty");
    await writeFile(at("text"), "no image at all, but text that is long enough to have a header's length, and then some more of it");
    expect(await refusalOf(at("text"))).toContain("not a qcow2 image");
  });
  it("refuses layers that unpack beyond the disk, are damaged, or lead outside", async () => {
    const layer = async (reason: Refused, bytes: Buffer, compression: "gzip" | "none"): Promise<string> => {
      const file = at(`layer-${bytes.length}`);
      await writeFile(file, bytes);
      const blob = await fileBlob(file);
      const vm = {
        kind: "oci" as const,
        image: NO_BLOB,
        layers: [{ digest: blob.digest, compression }],
        args: ["true"],
        env: [],
        workdir: "",
        user: "",
        hostname: "",
      };
      const job = await machine({ vm, diskMib: 32, blobs: [blob] });
      const end = await (await orderAndFollow(market.customer, job, wantedFor(job))).end();
      await refusedAs(reason, end.lease);
      return end.delivered!.result.detail;
    };
    expect(await layer("job-refused", gzipSync(Buffer.alloc(256 * 1024 * 1024)), "gzip")).toContain("unpacks to more than 32 MiB");
    expect(await layer("image-refused", Buffer.alloc(4_096, 0x41), "none")).toContain("damaged");
    await run("sh", ["-c", `cd ${folder} && touch x && tar -cPf ${at("outside.tar")} --transform 's,x,../../outside,' x`]);
    const { readFile } = await import("node:fs/promises");
    expect(await layer("image-refused", await readFile(at("outside.tar")), "none")).toContain("leads outside");
  });
  it("ends a layer's writer amid its data, and feels nothing of it", async () => {
    const late: unknown[] = [];
    const note = (error: unknown): void => void late.push(error);
    process.on("uncaughtException", note);
    try {
      await run("sh", [
        "-c",
        `dd if=/dev/urandom of=${at("random")} bs=1M count=12 2>/dev/null && tar -C ${folder} -cf ${at("random.tar")} random`,
      ]);
      const cache = { folder: at("layers"), bytesMax: 1e9 };
      for (let mib = 1; mib <= 8; mib++) {
        const layers = [{ digest: NO_BLOB, file: at("random.tar") }];
        const image = {
          layers,
          bytesMax: mib * 1024 * 1024,
          entriesMax: 100,
          textBytesMax: 64 * 1024 * 1024,
          work: at("work"),
          take: async () => {},
        };
        await expect(imageDisks(image, cache)).rejects.toThrow(`unpacks to more than ${mib} MiB`);
      }
      await until(async () => (await readdir(cache.folder)).length === 0);
    } finally {
      process.off("uncaughtException", note);
    }
    expect(late).toEqual([]);
  });

  it("fetches nothing for an order that does not say so", async () => {
    const job = await machine({
      vm: { kind: "disk", image: { digest: NO_BLOB, format: "raw", url: "http://127.0.0.1:80/image" }, iso: null, seed: [] },
      diskMib: 64,
    });
    const end = await (await orderAndFollow(market.customer, job, wantedFor(job))).end();
    await refusedAs("job-refused", end.lease);
    expect(end.delivered!.result.detail).toContain("does not ask for a server that fetches images");
  });
  it("takes only what was ordered: another machine, more memory or egress than the order", async () => {
    const ordered = await machine({ vm: { kind: "disk", image: null, iso: null, seed: [] }, diskMib: 8 });
    const other = await machine({ vm: { kind: "disk", image: null, iso: null, seed: [] }, diskMib: 8, memoryMib: 4_096 });
    const end = await (await orderAndFollow(market.customer, { ...other, jobHash: ordered.jobHash }, wantedFor(ordered))).end();
    await refusedAs("job-refused", end.lease);
    expect(end.delivered!.result.detail).toContain("not the one that was ordered");
    const large = await machine({ vm: { kind: "disk", image: null, iso: null, seed: [] }, diskMib: 8, memoryMib: 4_096 });
    const greedy = await (await orderAndFollow(market.customer, large, wantedFor(ordered))).end();
    await refusedAs("job-refused", greedy.lease);
    expect(greedy.delivered!.result.detail).toContain("memory must hold the guest's");
  });
});
