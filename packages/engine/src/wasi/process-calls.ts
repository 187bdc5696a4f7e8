/** WASI calls about the process: arguments, environment, clocks, random, polling, exit. */
import { CLOCK, ERRNO, RIGHTS, WasiError } from "./abi.ts";
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

const EVENT_CLOCK = 0;
const SUBSCRIPTION_BYTES = 48;
const EVENT_BYTES = 32;
const ABSOLUTE_TIME = 1;
const HANGUP = 1;

export function processCalls({ memory, descriptors, world, clock: time }: Host) {
  const args = world.args.map(encodeUtf8);
  const env = world.env.map(([key, value]) => encodeUtf8(`${key}=${value}`));
  const sizes = (texts: readonly Uint8Array[], countAt: number, bytesAt: number): void => {
    memory.setU32(countAt, texts.length);
    memory.setU32(
      bytesAt,
      texts.reduce((sum, text) => sum + text.length + 1, 0),
    );
  };
  const timeOf = (clock: number): bigint => {
    if (clock === CLOCK.REALTIME) return time.realtimeNs();
    if (clock === CLOCK.MONOTONIC || clock === CLOCK.PROCESS_CPUTIME || clock === CLOCK.THREAD_CPUTIME) return time.monotonicNs();
    throw new WasiError("INVAL");
  };

  return {
    args_sizes_get: (count: number, bytes: number) => sizes(args, count, bytes),
    args_get: (pointers: number, buffer: number) => memory.setStrings(pointers, buffer, args),
    environ_sizes_get: (count: number, bytes: number) => sizes(env, count, bytes),
    environ_get: (pointers: number, buffer: number) => memory.setStrings(pointers, buffer, env),
    clock_res_get(clock: number, at: number) {
      timeOf(clock);
      memory.setU64(at, 1_000n);
    },
    clock_time_get: (clock: number, _precision: bigint, at: number) => memory.setU64(at, timeOf(clock)),
    random_get: (buffer: number, length: number) => world.random.fill(memory.bytes(buffer, length)),
    sched_yield: () => {},
    proc_exit(code: number): never {
      throw new GuestExit(code & 0xff);
    },
    proc_raise(signal: number): never {
      throw new GuestExit((128 + signal) & 0xff);
    },
    /** Files are always ready; a clock waits for the earliest subscription when nothing else is ready. */
    poll_oneoff(input: number, output: number, count: number, eventsAt: number) {
      if (count === 0 || count >>> 0 > 4096) throw new WasiError("INVAL");
      const clocks: { userdata: bigint; waitNs: bigint }[] = [];
      const ready: { userdata: bigint; errno: number; type: number; bytes: bigint; flags: number }[] = [];
      for (let i = 0; i < count; i++) {
        const at = input + SUBSCRIPTION_BYTES * i;
        const userdata = memory.u64(at);
        const type = memory.u8(at + 8);
        if (type === EVENT_CLOCK) {
          const timeout = memory.u64(at + 24);
          const absolute = (memory.u16(at + 40) & ABSOLUTE_TIME) !== 0;
          const waitNs = absolute ? timeout - timeOf(memory.u32(at + 16)) : timeout;
          clocks.push({ userdata, waitNs: waitNs > 0n ? waitNs : 0n });
        } else if (type === 1 || type === 2) {
          const event = { userdata, errno: 0 as number, type, bytes: 1n, flags: 0 };
          try {
            const descriptor = descriptors.get(memory.u32(at + 16), RIGHTS.POLL_FD_READWRITE);
            if (descriptor.kind === "input") {
              event.bytes = BigInt(descriptor.bytes.length - descriptor.offset);
              if (event.bytes === 0n) event.flags = HANGUP;
            }
          } catch (error) {
            event.errno = error instanceof WasiError ? error.errno : ERRNO.IO;
          }
          ready.push(event);
        } else throw new WasiError("INVAL");
      }
      if (ready.length === 0) {
        const waitNs = clocks.reduce((least, clock) => (clock.waitNs < least ? clock.waitNs : least), clocks[0]!.waitNs);
        time.sleep(waitNs);
        for (const clock of clocks)
          if (clock.waitNs <= waitNs) ready.push({ userdata: clock.userdata, errno: 0, type: EVENT_CLOCK, bytes: 0n, flags: 0 });
      }
      for (const [i, event] of ready.entries()) {
        const at = output + EVENT_BYTES * i;
        memory.bytes(at, EVENT_BYTES).fill(0);
        memory.setU64(at, event.userdata);
        memory.setU16(at + 8, event.errno);
        memory.setU8(at + 10, event.type);
        memory.setU64(at + 16, event.bytes);
        memory.setU16(at + 24, event.flags);
      }
      memory.setU32(eventsAt, ready.length);
    },
    sock_accept: (fd: number) => notSocket(fd),
    sock_recv: (fd: number) => notSocket(fd),
    sock_send: (fd: number) => notSocket(fd),
    sock_shutdown: (fd: number) => notSocket(fd),
  };

  /** A guest has no sockets, whatever descriptor it names. */
  function notSocket(fd: number): never {
    descriptors.get(fd, 0n);
    throw new WasiError("NOTSOCK");
  }
}
