/** `xeno cp`: one file into a machine or out of it, by its guest agent. */
import { open } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { CopyInput } from "../input/verbs/machine.ts";
import { askAgent, hold, type Held } from "../machine/hold.ts";
import { UserError } from "../output/ui.ts";

const COPY_BYTES = 512 * 1024;
const zHandle = z.int();
const zRead = z.object({ "buf-b64": z.string(), eof: z.boolean(), count: z.int() });

interface Place {
  lease: string;
  file: string;
}

export function placeIn(text: string): Place | null {
  const [, lease, file] = /^([0-9a-f]{4,64}):(\/.+)$/.exec(text) ?? [];
  return lease === undefined || file === undefined ? null : { lease, file };
}

export async function copy({ from, to }: CopyInput): Promise<void> {
  const [source, target] = [placeIn(from), placeIn(to)];
  if (source && !target) return copyOut(source, to);
  if (target && !source) return copyIn(from, target);
  throw new UserError("one of the two must be LEASE:/path");
}

async function withFile<T>({ lease, file }: Place, mode: "rb" | "wb", use: (held: Held, handle: number) => Promise<T>): Promise<T> {
  const held = await hold(lease, null);
  try {
    const handle = zHandle.parse(await askAgent(held.session, "guest-file-open", { path: file, mode }));
    try {
      return await use(held, handle);
    } finally {
      await askAgent(held.session, "guest-file-close", { handle });
    }
  } finally {
    held.close();
  }
}

function copyOut(source: Place, to: string): Promise<void> {
  return withFile(source, "rb", async ({ session }, handle) => {
    const target = to.endsWith("/") ? path.join(to, path.basename(source.file)) : to;
    const out = await open(target, "w");
    let written = 0;
    try {
      for (let eof = false; !eof;) {
        const part = zRead.parse(await askAgent(session, "guest-file-read", { handle, count: COPY_BYTES }));
        const bytes = Buffer.from(part["buf-b64"], "base64");
        await out.writeFile(bytes);
        written += bytes.length;
        ({ eof } = part);
      }
    } catch (error) {
      throw new UserError(`${error instanceof Error ? error.message : String(error)}; only the first ${written} bytes are in ${target}`);
    } finally {
      await out.close();
    }
  });
}

async function copyIn(from: string, { lease, file }: Place): Promise<void> {
  const source = await open(from, "r").catch(() => {
    throw new UserError(`there is no file ${from}`);
  });
  try {
    const target = file.endsWith("/") ? `${file}${path.basename(from)}` : file;
    await withFile({ lease, file: target }, "wb", async ({ session }, handle) => {
      const buffer = Buffer.alloc(COPY_BYTES);
      for (let offset = 0; ;) {
        const { bytesRead } = await source.read(buffer, 0, COPY_BYTES, offset);
        if (bytesRead === 0) return;
        await askAgent(session, "guest-file-write", { handle, "buf-b64": buffer.subarray(0, bytesRead).toString("base64") });
        offset += bytesRead;
      }
    });
  } finally {
    await source.close();
  }
}
