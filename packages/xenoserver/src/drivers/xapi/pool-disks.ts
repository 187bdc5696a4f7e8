/**
 * Disks on their way to the pool and from it. XAPI says 200 before it reads or writes anything: what came of a disk that was sent stands
 * in its task, and one that was fetched is whole where it is as large as it should be. Who controls the inputs: the pool; the guest (what
 * is fetched).
 */
import { createWriteStream } from "node:fs";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Pool } from "./pool.ts";
import { Unanswered, XapiError } from "./xapi-error.ts";
import { zIntOut } from "./xapi-records.ts";

const TRIES_MAX = 3;
const RETRY_MS = 2_000;
/** Of storages that round sizes up to their own grain: 4 MiB (LVM) is the largest. */
const GRAIN_BYTES = 16 * 1024 * 1024;

const diskPath = (verb: "import" | "export", vdi: string): string => `/${verb}_raw_vdi?vdi=${encodeURIComponent(vdi)}&format=raw`;

/** Sends it whole; one that broke off is sent again. Throws XapiError or Unanswered where it comes to nothing. */
export async function fillDisk(pool: Pool, vdi: string, bytes: number, open: () => Readable, signal?: AbortSignal): Promise<void> {
  const { session, mirror, wait } = pool;
  for (let tries = 1; ; tries++)
    try {
      const send = (task: string): Promise<void> =>
        session.put(`${diskPath("import", vdi)}&task_id=${encodeURIComponent(task)}`, bytes, open, signal);
      return await mirror.withTask("import_raw_vdi", send, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (tries >= TRIES_MAX || !(error instanceof Unanswered || error instanceof XapiError)) throw error;
      await wait(RETRY_MS);
    }
}

function bounded(bytesMax: number, counted: (bytes: number) => void): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      counted(bytes);
      if (bytes > bytesMax) done(new Error("the pool gives more of a disk than it holds"));
      else done(null, chunk);
    },
  });
}

/** Fetches it whole into a file; one that broke off is fetched again: the pool may still hold it. `bytesAsked`: of its making. */
export async function fetchDisk({ session, wait }: Pool, vdi: string, bytesAsked: number, file: string): Promise<void> {
  const size = await session.call(zIntOut, "VDI.get_virtual_size", vdi);
  if (size > bytesAsked + GRAIN_BYTES) throw new Error("the pool has a larger disk than was made");
  for (let tries = 1; ; tries++) {
    let [bytes, broken]: [number, Error | null] = [0, null];
    try {
      const from = await session.get(diskPath("export", vdi));
      await pipeline(
        from,
        bounded(size, (count) => (bytes = count)),
        createWriteStream(file, { mode: 0o600 }),
      );
    } catch (error) {
      broken = error as Error;
    }
    if (broken === null && bytes === size) return;
    if (tries >= TRIES_MAX || bytes > size) throw broken ?? new Error(`the pool gave ${bytes} of a disk's ${size} bytes`);
    await wait(RETRY_MS);
  }
}
