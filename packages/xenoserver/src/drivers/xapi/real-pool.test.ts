/**
 * The suite of all drivers on a pool that somebody names by XENO_XAPI_URL (docs/xcp-ng.md): skipped loudly where nobody does. Its image is
 * a plain disk with cloud-init that boots by the pool's pygrub.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { jobIn } from "../../../../../test/xapi/support.ts";
import { driverContract } from "../driver-contract.ts";
import { fakeJob } from "../../testing/fake-customer.ts";
import { openPoolOf, type OpenedPool } from "./open-pool.ts";

const { XENO_XAPI_URL, XENO_XAPI_USER, XENO_XAPI_PASSWORD_FILE, XENO_XAPI_FINGERPRINTS, XENO_XAPI_SR, XENO_XAPI_IMAGE } = process.env;
const isWanted = XENO_XAPI_URL !== undefined;
if (!isWanted) console.warn("no real pool was tried: XENO_XAPI_URL names none");
const MIB = 1024 * 1024;

describe.skipIf(!isWanted)("a real pool", () => {
  let folder: string;
  let pool: OpenedPool;
  let last = 0;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-real-pool-"));
    const xapi = {
      ...{ url: XENO_XAPI_URL, user: XENO_XAPI_USER ?? "root", password_file: XENO_XAPI_PASSWORD_FILE, sr: XENO_XAPI_SR },
      ...{ fingerprints: (XENO_XAPI_FINGERPRINTS ?? "").split(","), boot: "pv" as const, image_gib: 20 },
      ...{ snapshots_gib: 0, snapshots_hours: 1, network_dns: [] },
    };
    const config = { xapi, policy: { egress: "none", egress_mbit: 1 } };
    pool = await openPoolOf({ crypto: nodeCrypto, folder, config, inUse: [], log: (what, facts) => console.error(what, facts) });
  });
  afterAll(async () => {
    await pool.driver.makeRoom();
    await pool.driver.close();
    await rm(folder, { recursive: true, force: true });
  });

  driverContract("xapi on a real pool", async () => {
    const image = XENO_XAPI_IMAGE ?? "";
    const hash = createHash("sha256");
    for await (const bytes of createReadStream(image)) hash.update(bytes as Buffer);
    const disk = { file: image, digest: hash.digest("hex"), bytes: (await stat(image)).size };
    return {
      driver: pool.driver,
      jobs: {
        foreign: { kind: "wasm", job: fakeJob(["run"]).job },
        prints: (text, exit, ms) =>
          jobIn(folder, `${(++last).toString(16).padStart(8, "0")}${"d".repeat(56)}`, {
            disk,
            script: [
              ...["#!/bin/sh", "cd /run && mkdir out", `printf ${text} | tee stdout out/file >/dev/hvc0`, `sleep ${ms / 1_000}`],
              ...[`echo ${exit} >exit`, "tar -cf /dev/xvdc exit stdout out", "sync", "poweroff"],
            ],
            more: { memoryMib: 512, diskMib: Math.ceil(disk.bytes / MIB) },
          }),
      },
    };
  });
});
