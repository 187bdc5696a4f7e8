/** A guest's file calls without a guest: the engine's own functions on a memory, by their names, with the errno that a program would get. */
import { seededRandom } from "@xenoservers/engine";
import { Clock } from "../../packages/engine/src/clock.ts";
import { ERRNO, WasiError } from "../../packages/engine/src/wasi/abi.ts";
import { PREVIEW1 } from "../../packages/engine/src/wasi/layouts.ts";
import { wasiCalls } from "../../packages/engine/src/wasi/calls.ts";
import { Descriptors } from "../../packages/engine/src/wasi/descriptors.ts";
import { FileSystem } from "../../packages/engine/src/wasi/file-system.ts";
import { GuestMemory } from "../../packages/engine/src/wasi/guest-memory.ts";
import { directoryAt, listed } from "../../packages/engine/src/wasi/tree.ts";

const ALL = (1n << 30n) - 1n;
const NAMES = new Map(Object.entries(ERRNO).map(([name, number]) => [number as number, name]));
const CREAT = 1;
const TEXT_AT = 65_536;
const OTHER_AT = 2 * 65_536;
const RESULT_AT = 1024;

export class GuestCalls {
  readonly files: FileSystem;
  readonly descriptors: Descriptors;
  readonly #memory = new GuestMemory();
  readonly #calls: Record<string, (...args: never[]) => unknown>;
  /** The descriptor of the first mount. */
  readonly out = 3;

  constructor(diskBytes: number, mounts: readonly string[] = ["/out"]) {
    this.files = new FileSystem(diskBytes, () => 0n);
    this.descriptors = new Descriptors(this.files);
    this.#memory.attach(new WebAssembly.Memory({ initial: 64 }) as never);
    const world = { args: [], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) };
    const clock = new Clock(0n, () => 0n);
    this.#calls = wasiCalls({ memory: this.#memory, descriptors: this.descriptors, files: this.files, world, clock, layout: PREVIEW1 });
    for (const path of mounts) this.descriptors.addPreopen(path, this.files.mountAt(path.split("/").filter(Boolean)), true);
  }

  /** `SUCCESS`, or the name of the errno. */
  call(name: string, ...args: (number | bigint)[]): string {
    try {
      this.#calls[name]!(...(args as never[]));
      return "SUCCESS";
    } catch (error) {
      if (error instanceof WasiError) return NAMES.get(error.errno) ?? String(error.errno);
      throw error;
    }
  }

  #text(text: string, at = TEXT_AT): [number, number] {
    const bytes = new TextEncoder().encode(text);
    this.#memory.bytes(at, bytes.length).set(bytes);
    return [at, bytes.length];
  }

  get result(): number {
    return this.#memory.u32(RESULT_AT);
  }

  mkdir(path: string, fd = this.out): string {
    return this.call("path_create_directory", fd, ...this.#text(path));
  }
  symlink(target: string, path: string, fd = this.out): string {
    return this.call("path_symlink", ...this.#text(target, OTHER_AT), fd, ...this.#text(path));
  }
  link(from: string, to: string, fd = this.out): string {
    return this.call("path_link", fd, 0, ...this.#text(from), fd, ...this.#text(to, OTHER_AT));
  }
  rename(from: string, to: string, fd = this.out): string {
    return this.call("path_rename", fd, ...this.#text(from), fd, ...this.#text(to, OTHER_AT));
  }
  unlink(path: string, fd = this.out): string {
    return this.call("path_unlink_file", fd, ...this.#text(path));
  }
  rmdir(path: string, fd = this.out): string {
    return this.call("path_remove_directory", fd, ...this.#text(path));
  }
  stat(path: string, fd = this.out): string {
    return this.call("path_filestat_get", fd, 1, ...this.#text(path), RESULT_AT);
  }
  /** Its descriptor, or the errno. */
  open(path: string, oflags = CREAT, fd = this.out, rights = ALL): number | string {
    const errno = this.call("path_open", fd, 1, ...this.#text(path), oflags, rights, ALL, 0, RESULT_AT);
    return errno === "SUCCESS" ? this.result : errno;
  }
  close(fd: number): string {
    return this.call("fd_close", fd);
  }
  /** How much was written, or the errno. */
  write(fd: number, length: number, offset?: bigint): number | string {
    this.#memory.setU32(16, OTHER_AT);
    this.#memory.setU32(20, length);
    const errno = offset === undefined ? this.call("fd_write", fd, 16, 1, RESULT_AT) : this.call("fd_pwrite", fd, 16, 1, offset, RESULT_AT);
    return errno === "SUCCESS" ? this.result : errno;
  }
  /** Which of these subscriptions, by their place, `poll_oneoff` came back for, or the errno. `fd`: to read it. */
  poll(...asked: readonly ({ fd: number } | { clock: number; ns: bigint; absolute?: boolean })[]): number[] | string {
    for (const [i, one] of asked.entries()) {
      const at = OTHER_AT + PREVIEW1.subscriptionBytes * i;
      this.#memory.bytes(at, PREVIEW1.subscriptionBytes).fill(0);
      this.#memory.setU64(at, BigInt(i));
      this.#memory.setU8(at + 8, "fd" in one ? 1 : 0);
      this.#memory.setU32(at + 16, "fd" in one ? one.fd : one.clock);
      if ("fd" in one) continue;
      this.#memory.setU64(at + PREVIEW1.clockAt + 8, one.ns);
      this.#memory.setU16(at + PREVIEW1.clockAt + 24, one.absolute === true ? 1 : 0);
    }
    const errno = this.call("poll_oneoff", OTHER_AT, TEXT_AT, asked.length, RESULT_AT);
    return errno === "SUCCESS" ? Array.from({ length: this.result }, (_, i) => Number(this.#memory.u64(TEXT_AT + 32 * i))) : errno;
  }
  resize(fd: number, size: bigint): string {
    return this.call("fd_filestat_set_size", fd, size);
  }
  /** A file of so many bytes. */
  file(path: string, length = 0): number | string {
    const fd = this.open(path);
    if (typeof fd === "string") return fd;
    const written = length > 0 ? this.write(fd, length) : 0;
    this.close(fd);
    return written;
  }
  /** Every name that reading a folder gives, in parts of so many bytes; in words where it gives none. */
  names(fd: number, bufferBytes: number): string[] | string {
    const names: string[] = [];
    for (let cookie = 0n; ;) {
      const errno = this.call("fd_readdir", fd, TEXT_AT, bufferBytes, cookie, RESULT_AT);
      if (errno !== "SUCCESS") return errno;
      const used = this.result;
      const before = cookie;
      let at = TEXT_AT;
      while (at + 24 <= TEXT_AT + used) {
        const length = this.#memory.u32(at + 16);
        if (at + 24 + length > TEXT_AT + used) break;
        cookie = this.#memory.u64(at);
        names.push(new TextDecoder().decode(this.#memory.bytes(at + 24, length).slice()));
        at += 24 + length;
      }
      if (used < bufferBytes) return names;
      if (cookie === before) return "the buffer holds no entry";
    }
  }

  treeAt(path: string) {
    const directory = directoryAt(this.files.root, path.split("/").filter(Boolean));
    return directory ? listed(directory) : [];
  }
}
