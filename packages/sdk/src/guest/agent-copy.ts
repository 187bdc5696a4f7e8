/**
 * One file into a guest that has nothing but its agent, or out of it: a request for each piece, several under way. Who controls the inputs:
 * the guest, every answer.
 */
import { chmod, open, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";

import { ifThere, nameBeside } from "@xenoservers/protocol/files";
import * as z from "zod/mini";
import { InputError } from "../errors.ts";
import { kernelPath } from "../kernel-path.ts";
import { roomIn } from "../room.ts";
import { askAgent, type AgentSession } from "./ask-agent.ts";
import { GuestFileError } from "./files.ts";
import { giveName, named } from "./in-place.ts";

const COPY_BYTES = 512 * 1024;
/** Of a file's pieces: the agent answers in order. */
const UNDER_WAY = 4;
const zHandle = z.int();
const zWritten = z.object({ count: z.int() });
const zRead = z.object({ "buf-b64": z.string(), eof: z.boolean(), count: z.int() });

async function withFile<T>(session: AgentSession, file: string, mode: "rb" | "wb", use: (handle: number) => Promise<T>): Promise<T> {
  const handle = zHandle.parse(await askAgent(session, "guest-file-open", { path: file, mode }));
  const close = (): Promise<unknown> => askAgent(session, "guest-file-close", { handle });
  const used = await use(handle).catch(async (error: unknown) => {
    await close().catch(() => {}); // the first failure says more
    throw error;
  });
  await close();
  return used;
}

/** All that the agent gives of a file, up to its end. Throws where it is more than `room`, or nothing again and again. */
async function eachGiven(session: AgentSession, handle: number, room: number, out: FileHandle): Promise<void> {
  const next = (): Promise<unknown> => {
    const asked = askAgent(session, "guest-file-read", { handle, count: COPY_BYTES });
    asked.catch(() => {}); // said when its turn has come
    return asked;
  };
  const asked = Array.from({ length: UNDER_WAY }, next);
  let written = 0;
  for (let eof = false; !eof;) {
    const part = zRead.parse(await asked.shift());
    const bytes = Buffer.from(part["buf-b64"], "base64");
    if (bytes.length === 0 && !part.eof) throw new Error("the guest's agent gives nothing, and no end");
    if (written + bytes.length > room) throw new Error("there is no room here for all that the guest gives");
    await out.writeFile(bytes);
    written += bytes.length;
    ({ eof } = part);
    if (!eof) asked.push(next());
  }
  await Promise.allSettled(asked);
}

/** Written by `write` beside the file and then given its name, with the mode of what was there; a device or pipe is written as it is. */
async function wholeOrNot(file: string, write: (out: FileHandle) => Promise<void>): Promise<void> {
  const there = await ifThere(stat(kernelPath(file)));
  const isInPlace = there !== null && !there.isFile();
  const at = isInPlace ? file : nameBeside(file);
  const out = await named(file, open(kernelPath(at), isInPlace ? "w" : "wx"));
  try {
    await write(out).finally(() => out.close());
    if (there?.isFile()) await chmod(kernelPath(at), there.mode & 0o777);
  } catch (error) {
    if (!isInPlace) await rm(kernelPath(at), { force: true });
    const left = isInPlace ? "" : `; nothing of it is at ${file}`;
    throw new GuestFileError(`${error instanceof Error ? error.message : String(error)}${left}`);
  }
  if (!isInPlace) await named(file, giveName(file, at));
}

/** Whole or not there: what was there before stays until then. `roomOf`: how many bytes a folder here may be given. */
export function agentCopyOut(session: AgentSession, file: string, to: string, roomOf = roomIn): Promise<void> {
  return withFile(session, file, "rb", async (handle) => {
    const isFolder = to.endsWith("/") || (await ifThere(stat(kernelPath(to))))?.isDirectory() === true;
    const target = isFolder ? path.join(to, path.basename(file)) : to;
    const room = await roomOf(path.dirname(target));
    await wholeOrNot(target, (out) => eachGiven(session, handle, room, out));
  });
}

/** Takes a file's pieces in turn, some under way; resolves when the last is there. */
async function eachPiece(source: FileHandle, bytesMax: number, put: (piece: Buffer) => Promise<unknown>): Promise<number> {
  const asked: Promise<unknown>[] = [];
  let offset = 0;
  while (offset < bytesMax) {
    const buffer = Buffer.alloc(Math.min(COPY_BYTES, bytesMax - offset));
    const { bytesRead } = await source.read(buffer, 0, buffer.length, offset);
    if (bytesRead === 0) break;
    const one = put(buffer.subarray(0, bytesRead));
    one.catch(() => {}); // said when its turn has come
    asked.push(one);
    if (asked.length >= UNDER_WAY) await asked.shift();
    offset += bytesRead;
  }
  await Promise.all(asked);
  return offset;
}

/**
 * Its bytes as they are, where the server and the guest's shell do that (guests/src/qemu/machine/agent-copies.ts): whole or not at all.
 * False where they do not. Of one that grows meanwhile what it had at first is copied.
 */
async function copiedAsIs(session: AgentSession, source: FileHandle, target: string): Promise<boolean> {
  const { size, mode } = await source.stat();
  if (size < COPY_BYTES) return false; // a shell takes longer to start
  const wanted = { path: target, bytes: size, mode: (mode & 0o777).toString(8).padStart(3, "0") };
  const copy = await askAgent(session, "guest-copy-open", wanted).catch(() => null);
  if (typeof copy !== "number") return false;
  try {
    const came = await eachPiece(source, size, (piece) =>
      askAgent(session, "guest-copy-write", { copy, "buf-b64": piece.toString("base64") }),
    );
    if (came < size) throw new InputError(`it became shorter while it was copied: nothing of it is at ${target}`);
  } catch (error) {
    await askAgent(session, "guest-copy-close", { copy }).catch(() => {});
    throw error;
  }
  await askAgent(session, "guest-copy-close", { copy });
  return true;
}

export async function agentCopyIn(session: AgentSession, from: string, to: string): Promise<void> {
  const source = await open(from, "r").catch(() => {
    throw new InputError(`there is no file ${from}`);
  });
  try {
    const target = to.endsWith("/") ? `${to}${path.basename(from)}` : to;
    if (await copiedAsIs(session, source, target)) return;
    await withFile(session, target, "wb", (handle) =>
      eachPiece(source, Number.POSITIVE_INFINITY, async (piece) => {
        const { count } = zWritten.parse(await askAgent(session, "guest-file-write", { handle, "buf-b64": piece.toString("base64") }));
        // the next pieces are on their way already
        if (count !== piece.length) throw new GuestFileError(`the guest took ${count} of ${piece.length} bytes: ${target} is damaged`);
      }),
    );
  } finally {
    await source.close();
  }
}
