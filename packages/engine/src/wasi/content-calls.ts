/** WASI calls on the content of what is open: reading, writing, and where the next of either begins (fd_*). */
import { FDFLAGS, RIGHTS, WasiError } from "./abi.ts";
import type { Input, Output } from "./descriptors.ts";
import type { FileSystem } from "./file-system.ts";
import type { Host } from "./host.ts";
import type { FileNode } from "./nodes.ts";
import { safeOffset, safeSize } from "./offsets.ts";

export function contentCalls({ memory, descriptors, files, layout }: Host) {
  /** `offset`: null where the descriptor stands. */
  function readInto(fd: number, vectors: Uint8Array[], offset: number | null): number {
    const descriptor = descriptors.get(fd, RIGHTS.FD_READ | (offset === null ? 0n : RIGHTS.FD_SEEK));
    if (descriptor.kind === "input") {
      if (offset !== null) throw new WasiError("SPIPE");
      return readInput(descriptor, vectors);
    }
    if (descriptor.kind === "directory") throw new WasiError("ISDIR");
    if (descriptor.kind !== "file") throw new WasiError("BADF");
    const from = offset ?? descriptor.offset;
    const done = readFile(files, descriptor.node, from, vectors);
    if (offset === null) descriptor.offset = from + done;
    return done;
  }

  /** `offset`: null where the descriptor stands. One that appends does so whatever the offset, as Linux and engines on it have it. */
  function writeFrom(fd: number, vectors: Uint8Array[], offset: number | null): number {
    const descriptor = descriptors.get(fd, RIGHTS.FD_WRITE | (offset === null ? 0n : RIGHTS.FD_SEEK));
    if (descriptor.kind === "output") {
      if (offset !== null) throw new WasiError("SPIPE");
      return writeOutput(descriptor, vectors);
    }
    if (descriptor.kind === "directory") throw new WasiError("ISDIR");
    if (descriptor.kind !== "file") throw new WasiError("BADF");
    const from = (descriptor.flags & FDFLAGS.APPEND) !== 0 ? descriptor.node.size : (offset ?? descriptor.offset);
    const done = writeFile(files, descriptor.node, from, vectors);
    if (offset === null) descriptor.offset = from + done;
    return done;
  }

  return {
    fd_read: (fd: number, vectors: number, count: number, at: number) =>
      memory.setU32(at, readInto(fd, memory.vectors(vectors, count), null)),
    fd_pread: (fd: number, vectors: number, count: number, offset: bigint, at: number) =>
      memory.setU32(at, readInto(fd, memory.vectors(vectors, count), safeOffset(offset))),
    fd_write: (fd: number, vectors: number, count: number, at: number) =>
      memory.setU32(at, writeFrom(fd, memory.vectors(vectors, count), null)),
    fd_pwrite: (fd: number, vectors: number, count: number, offset: bigint, at: number) =>
      memory.setU32(at, writeFrom(fd, memory.vectors(vectors, count), safeSize(offset))),
    fd_seek(fd: number, delta: bigint, whence: number, at: number) {
      const file = descriptors.file(fd, whence === layout.whence.CUR && delta === 0n ? RIGHTS.FD_TELL : RIGHTS.FD_SEEK);
      const { SET, CUR, END } = layout.whence;
      if (whence !== SET && whence !== CUR && whence !== END) throw new WasiError("INVAL");
      const base = whence === SET ? 0 : whence === CUR ? file.offset : file.node.size;
      file.offset = safeOffset(BigInt(base) + delta);
      memory.setU64(at, BigInt(file.offset));
    },
    fd_tell: (fd: number, at: number) => memory.setU64(at, BigInt(descriptors.file(fd, RIGHTS.FD_TELL).offset)),
  };
}

function readInput(input: Input, vectors: readonly Uint8Array[]): number {
  let done = 0;
  for (const buffer of vectors) {
    const part = input.bytes.subarray(input.offset, input.offset + buffer.length);
    buffer.set(part);
    input.offset += part.length;
    done += part.length;
  }
  return done;
}

function writeOutput(output: Output, vectors: readonly Uint8Array[]): number {
  let done = 0;
  for (const buffer of vectors) {
    if (buffer.length > 0) output.write(buffer);
    done += buffer.length;
  }
  return done;
}

function readFile(files: FileSystem, node: FileNode, from: number, vectors: readonly Uint8Array[]): number {
  let done = 0;
  for (const buffer of vectors) {
    const count = files.read(node, from + done, buffer);
    done += count;
    if (count < buffer.length) break;
  }
  return done;
}

/** A write that stops short has written something: only one that cannot begin is refused. */
function writeFile(files: FileSystem, node: FileNode, from: number, vectors: readonly Uint8Array[]): number {
  let done = 0;
  try {
    for (const buffer of vectors) {
      const count = files.write(node, from + done, buffer);
      done += count;
      if (count < buffer.length) break;
    }
  } catch (error) {
    if (done === 0 || !(error instanceof WasiError)) throw error;
  }
  return done;
}
