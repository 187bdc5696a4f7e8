/** WASI calls about the process: arguments, environment, random, exit; and the sockets that it does not have. */
import { WasiError } from "./abi.ts";
import { encodeUtf8 } from "./guest-memory.ts";
import type { Host } from "./host.ts";

/** Leaves the guest with an exit code; unwinds it as an exception that no guest code can catch. */
export class GuestExit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

export function processCalls(host: Host) {
  const { memory, descriptors, world } = host;
  const args = world.args.map(encodeUtf8);
  const env = world.env.map(([key, value]) => encodeUtf8(`${key}=${value}`));
  const sizes = (texts: readonly Uint8Array[], countAt: number, bytesAt: number): void => {
    memory.setU32(countAt, texts.length);
    memory.setU32(
      bytesAt,
      texts.reduce((sum, text) => sum + text.length + 1, 0),
    );
  };
  /** A guest has no sockets, whatever descriptor it names; a folder is not even what could be one. */
  const notSocket = (fd: number): never => {
    throw new WasiError(descriptors.get(fd, 0n).kind === "directory" ? "BADF" : "NOTSOCK");
  };

  return {
    args_sizes_get: (count: number, bytes: number) => sizes(args, count, bytes),
    args_get: (pointers: number, buffer: number) => memory.setStrings(pointers, buffer, args),
    environ_sizes_get: (count: number, bytes: number) => sizes(env, count, bytes),
    environ_get: (pointers: number, buffer: number) => memory.setStrings(pointers, buffer, env),
    random_get: (buffer: number, length: number) => world.random.fill(memory.bytes(buffer, length)),
    sched_yield: () => {},
    proc_exit(code: number): never {
      throw new GuestExit(code & 0xff);
    },
    proc_raise(signal: number): never {
      throw new GuestExit((128 + signal) & 0xff);
    },
    sock_accept: notSocket,
    sock_recv: notSocket,
    sock_send: notSocket,
    sock_shutdown: notSocket,
  };
}
