/**
 * What a lease brought, for its customer's next one, by a real server: nothing of it goes up again, nobody else has anything of it, and
 * what its owner's disk has made of it meanwhile never runs.
 */
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, open, readdir, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { forgetting, type Blob, type BuiltWork, type MarketClient } from "@xenoservers/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonJob } from "./jobs.ts";
import { orderAndFollow, startMarket, type TestMarket } from "./market.ts";
import { thoroughly } from "../thorough.ts";

const MIB = 1024 * 1024;
const SIZE = 4 * MIB;
const SOURCE = "import hashlib\nprint(hashlib.sha256(open('/in/data', 'rb').read()).hexdigest())";

let market: TestMarket;
let other: MarketClient;
beforeAll(async () => {
  market = await startMarket();
  other = await market.newParty("other", "10000000000");
});
afterAll(() => market.close());

interface Input extends Blob {
  /** Of it that was asked for. */
  sent: number;
}

/** `real`: what its customer has of what it names. */
function input(bytes: Uint8Array, real = bytes): Input {
  const blob: Input = {
    ...{ digest: createHash("sha256").update(bytes).digest("hex"), size: bytes.length, sent: 0 },
    async read(offset, length) {
      blob.sent += length;
      return real.subarray(offset, offset + length);
    },
  };
  return blob;
}

const jobOf = (blob: Blob): Promise<BuiltWork> =>
  pythonJob(SOURCE, {
    mounts: [
      {
        mount: { path: "/app", writable: false, keep: false },
        entries: [{ path: "main.py", kind: "file", blob: textBlob(SOURCE) }],
      },
      { mount: { path: "/in", writable: false, keep: false }, entries: [{ path: "data", kind: "file", blob }] },
    ],
  });

function textBlob(text: string): Blob {
  return input(new TextEncoder().encode(text));
}

/** So much went up; the job has read the right bytes. */
async function sent(client: MarketClient, blob: Input, wish = (work: BuiltWork) => work): Promise<number> {
  const before = blob.sent;
  const run = await orderAndFollow(client, wish(await jobOf(blob)));
  const { stdout, lease } = await run.end();
  expect([stdout, lease.end?.reason]).toEqual([`${blob.digest}\n`, "completed"]);
  return blob.sent - before;
}

async function keptFiles(): Promise<string[]> {
  const folder = path.join(market.folder, "server", "inputs");
  const all = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return all.filter((each) => each.isFile()).map((each) => path.join(each.parentPath, each.name));
}

describe("what a lease brought", () => {
  it("does not go up again for its customer's next one, nor after a restart, nor for two at once", async () => {
    const { customer } = market;
    const blob = input(randomBytes(SIZE));
    expect(await sent(customer, blob)).toBe(SIZE);
    expect(await sent(customer, blob)).toBe(0);
    await market.daemon.close();
    const listed = market.listedAgain();
    market.daemon = await market.startServer();
    await listed;
    expect(await sent(customer, blob)).toBe(0);
    expect(await Promise.all([sent(customer, blob), sent(customer, blob)])).toEqual([0, 0]);
  });

  thoroughly("goes up for another customer as if nobody had brought it, whoever names it", async () => {
    const bytes = randomBytes(SIZE);
    expect(await sent(market.customer, input(bytes))).toBe(SIZE);
    // who only knows the digest: it is asked for every byte, and nothing of the real one runs
    const guessed = input(bytes, randomBytes(SIZE));
    const { stdout, lease } = await (await orderAndFollow(other, await jobOf(guessed))).end();
    expect([stdout, lease.end?.reason]).toEqual(["", "job-refused"]);
    expect(guessed.sent).toBeGreaterThanOrEqual(SIZE);
    expect(await sent(other, input(bytes))).toBe(SIZE);
    expect(await sent(other, input(bytes))).toBe(0);
  });

  thoroughly("is found out where the owner's disk has made something else of it, and goes up again", async () => {
    for (const file of await keptFiles()) await rm(file);
    const blob = input(randomBytes(SIZE));
    await sent(market.customer, blob);
    for (const file of await keptFiles()) {
      const { atime, mtime } = await stat(file);
      const handle = await open(file, "r+");
      await handle.write(Buffer.from("changed"), 0, 7, SIZE / 2);
      await handle.close();
      await utimes(file, atime, mtime);
    }
    expect(await sent(market.customer, blob)).toBe(SIZE);
    expect(market.log.filter((line) => line.includes(blob.digest))).toEqual([expect.stringContaining("is not what it was")]);
    expect(await sent(market.customer, blob)).toBe(0);
  });

  it("is forgotten where its customer wishes so, also what an earlier lease brought of it", async () => {
    const blob = input(randomBytes(SIZE));
    const before = (await keptFiles()).length;
    expect(await sent(market.customer, blob, forgetting)).toBe(SIZE);
    expect(await keptFiles()).toHaveLength(before);
    expect(await sent(market.customer, blob)).toBe(SIZE);
    expect(await keptFiles()).toHaveLength(before + 1);
    expect(await sent(market.customer, blob, forgetting)).toBe(0);
    expect(await keptFiles()).toHaveLength(before);
    expect(await sent(market.customer, blob)).toBe(SIZE);
  });
});

it("makes room for what comes while the disk is full", async () => {
  const disk = await mkdtemp(path.join(tmpdir(), "xeno-full-"));
  try {
    const script = 'mount -t tmpfs -o size=12m tmpfs "$1" && exec "$2" "$3" "$1"';
    const unshare = ["--mount", ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"])];
    const program = path.join(import.meta.dirname, "inputs-on-full-disk.ts");
    const { stdout, stderr } = spawnSync("unshare", [...unshare, "sh", "-c", script, "sh", disk, process.execPath, program], {
      encoding: "utf8",
    });
    expect(stdout, stderr).not.toBe("");
    const came = { first: true, second: true, firstIsKept: false, secondIsKept: true };
    expect(JSON.parse(stdout)).toEqual({ ...came, tooMuch: "ENOSPC", isStillKept: true });
  } finally {
    await rm(disk, { recursive: true });
  }
});
