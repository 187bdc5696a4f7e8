/** A lease of a machine on a pool through the whole market: ordered, run, settled; and what the offer says when a host leaves. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildVm, fileBlob, type BuiltVm } from "@xenoservers/sdk";
import { PASSWORD, Twin, USER } from "../xapi/twin.ts";
import { orderAndFollow, startMarket, until, type TestMarket } from "./market.ts";

const MIB = 1024 * 1024;
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

let twin: Twin;
let folder: string;
let market: TestMarket;
beforeAll(async () => {
  twin = await Twin.open();
  folder = await mkdtemp(path.join(tmpdir(), "xeno-xapi-market-"));
  const passwordFile = path.join(folder, "password");
  await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
  const fingerprints = twin.fingerprints.map((text) => JSON.stringify(text)).join(", ");
  const login = `url = "${twin.url}"\nuser = "${USER}"\npassword_file = "${passwordFile}"\nfingerprints = [${fingerprints}]\n`;
  market = await startMarket({}, `[xapi]\n${login}sr = "xeno"\nboot = "pv"\nimage_gib = 1\n[capacity]\nvcpu = 6\n`);
});
afterAll(async () => {
  await market.close();
  await twin.close();
  await rm(folder, { recursive: true, force: true });
});

async function machine(script: readonly string[]): Promise<BuiltVm> {
  const [disk, seed] = [Buffer.alloc(MIB, "a disk"), Buffer.from(`${script.join("\n")}\n`)];
  for (const bytes of [disk, seed]) await writeFile(path.join(folder, digestOf(bytes)), bytes);
  return buildVm({
    vm: {
      ...{ kind: "disk", iso: null, image: { digest: digestOf(disk), format: "raw", url: null } },
      seed: [{ name: "user-data", digest: digestOf(seed) }],
    },
    ...{ machine: "q35", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 128, diskMib: 4, outputMibMax: 1 },
    ...{ network: false, egress: "none", engine: null, fuelMax: 1n, mounts: [], driver: "xapi" },
    blobs: await Promise.all([disk, seed].map((bytes) => fileBlob(path.join(folder, digestOf(bytes))))),
  });
}

it("runs a machine on a pool for a customer, settles it, and leaves nothing", async () => {
  const job = await machine(["print hello", "file stdout hello", "file out/a kept", "exit 3"]);
  const resources = { vcpu: 1, memoryMib: 192, diskMib: 4 };
  const { lease, stdout, files } = await (
    await orderAndFollow(market.customer, job, { driver: "xapi", terms: "by-interval", resources, fuelMax: 1n })
  ).end();
  expect(lease.end).toMatchObject({ reason: "completed", exitCode: 3 });
  expect([stdout, files]).toEqual(["hello", { "out/a": "kept" }]);
  await until(async () => twin.db.all("vm").every(([, vm]) => vm["is_a_template"] === true));
});

it("offers no more than its owner gives, and less when a host leaves", async () => {
  expect(market.daemon.config.capacity.vcpu).toBe(6);
  expect(market.daemon.server.state.capacity.offered.vcpu).toBe(6);
  const listed = market.listedAgain();
  twin.loseHost(1);
  await listed;
  expect(market.daemon.test.resources.vcpu).toBe(4);
});
