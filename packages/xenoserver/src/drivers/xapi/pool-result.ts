/**
 * What a machine hands back: its disk after the seed's, on which it may leave an archive (`tar -cf /dev/xvdc exit stdout out`). `exit` is
 * its exit code in digits, `stdout` its whole output (a console may have missed some), everything else its files. A disk of zeros means
 * that nothing was handed back. Who controls the inputs: the guest, every byte.
 */
import { mkdir, readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import { Refusal, TooMuch, readTree } from "@xenoservers/guests";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { readFrom } from "./pool-console.ts";
import { fetchDisk } from "./pool-disks.ts";
import type { Pool } from "./pool.ts";

const MIB = 1024 * 1024;
const BLOCK_BYTES = 512;
const EXIT = "exit";
const STDOUT = "stdout";
const EXIT_BYTES_MAX = 16;

export interface Returned {
  exitCode: number;
  tree: InputEntry[];
  /** Its `stdout`, by digest. */
  stdout: { digest: string; size: number } | null;
  /** Why it is not what it should be, in words for the customer. */
  problem: { kind: "damaged" | "too-much"; why: string } | null;
  /** It says how its job ended. */
  isSaid: boolean;
}

const nothing = (problem: Returned["problem"] = null): Returned => ({ exitCode: 0, tree: [], stdout: null, problem, isSaid: false });

/** An archive begins with a name. */
async function isBlank(archive: string): Promise<boolean> {
  if ((await stat(archive)).size < BLOCK_BYTES) return true;
  const head = await readFrom(archive, 0, BLOCK_BYTES);
  return head.every((byte) => byte === 0);
}

/** Brings the disk here and keeps its files in `folder` by digest. Throws where the pool does not give it. */
export async function readResult(pool: Pool, vdi: string, diskMib: number, folder: string): Promise<Returned> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const archive = path.join(folder, "archive");
  await fetchDisk(pool, vdi, diskMib * MIB, archive);
  if (await isBlank(archive)) {
    await rm(archive, { force: true });
    return nothing();
  }
  try {
    return await returnedOf(await readTree(archive, folder), folder);
  } catch (error) {
    if (error instanceof TooMuch) return nothing({ kind: "too-much", why: error.message });
    if (error instanceof Refusal) return nothing({ kind: "damaged", why: "what lies on the machine's result disk is no whole archive" });
    throw error;
  } finally {
    await rm(archive, { force: true });
  }
}

async function returnedOf(all: readonly InputEntry[], folder: string): Promise<Returned> {
  const named = (name: string) => all.find((entry) => entry.kind === "file" && entry.path === name);
  const [exit, stdout] = [named(EXIT), named(STDOUT)];
  const said = exit?.kind === "file" && exit.size <= EXIT_BYTES_MAX ? await readFile(path.join(folder, exit.digest), "latin1") : "";
  const exitCode = /^\d{1,3}$/.test(said.trim()) ? Math.min(Number(said), 255) : 0;
  return {
    ...{ exitCode, problem: null, isSaid: said !== "", tree: all.filter((entry) => entry !== exit && entry !== stdout) },
    stdout: stdout?.kind === "file" ? { digest: stdout.digest, size: stdout.size } : null,
  };
}
