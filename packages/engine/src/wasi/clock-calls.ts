/** WASI calls about time: reading a clock, and waiting for one. */
import { CLOCK, ERRNO, RIGHTS, WasiError } from "./abi.ts";
import type { Host } from "./host.ts";

const EVENT_CLOCK = 0;
const EVENT_READ = 1;
const EVENT_WRITE = 2;
const SUBSCRIPTIONS_MAX = 4096;
const EVENT_BYTES = 32;
const ABSOLUTE_TIME = 1;
const HANGUP = 1;
const RESOLUTION_NS = 1_000n;

interface Wait {
  userdata: bigint;
  waitNs: bigint;
}
interface Event {
  userdata: bigint;
  errno: number;
  type: number;
  bytes: bigint;
  flags: number;
}

export function clockCalls(host: Host) {
  const { memory, clock, layout } = host;
  return {
    clock_res_get(id: number, at: number) {
      timeOf(host, id);
      memory.setU64(at, RESOLUTION_NS);
    },
    clock_time_get: (id: number, _precision: bigint, at: number) => memory.setU64(at, timeOf(host, id)),
    /** Files are always ready; a clock waits for the earliest subscription when nothing else is. One that is due is told of in any case. */
    poll_oneoff(input: number, output: number, count: number, eventsAt: number) {
      if (count === 0 || count >>> 0 > SUBSCRIPTIONS_MAX) throw new WasiError("INVAL");
      const waits: Wait[] = [];
      const ready: Event[] = [];
      for (let i = 0; i < count; i++) {
        const at = input + layout.subscriptionBytes * i;
        const userdata = memory.u64(at);
        const type = memory.u8(at + 8);
        if (type === EVENT_CLOCK) waits.push({ userdata, waitNs: waitOf(host, at) });
        else if (type === EVENT_READ || type === EVENT_WRITE) ready.push(readyEvent(host, at, userdata, type));
        else throw new WasiError("INVAL");
      }
      const leastNs = ready.length > 0 ? 0n : waits.reduce((least, { waitNs }) => (waitNs < least ? waitNs : least), waits[0]!.waitNs);
      clock.sleep(leastNs);
      const due = waits.filter(({ waitNs }) => waitNs <= leastNs);
      const events = [...ready, ...due.map(({ userdata }): Event => ({ userdata, errno: 0, type: EVENT_CLOCK, bytes: 0n, flags: 0 }))];
      for (const [i, event] of events.entries()) setEvent(host, output + EVENT_BYTES * i, event);
      memory.setU32(eventsAt, events.length);
    },
  };
}

function timeOf({ clock }: Host, id: number): bigint {
  if (id === CLOCK.REALTIME) return clock.realtimeNs();
  if (id === CLOCK.MONOTONIC || id === CLOCK.PROCESS_CPUTIME || id === CLOCK.THREAD_CPUTIME) return clock.monotonicNs();
  throw new WasiError("INVAL");
}

/** How long the subscription to a clock at this address waits. */
function waitOf(host: Host, at: number): bigint {
  const { memory, layout } = host;
  const clockAt = at + layout.clockAt;
  const timeout = memory.u64(clockAt + 8);
  const nowNs = timeOf(host, memory.u32(clockAt));
  const absolute = (memory.u16(clockAt + 24) & ABSOLUTE_TIME) !== 0;
  const waitNs = absolute ? timeout - nowNs : timeout;
  return waitNs > 0n ? waitNs : 0n;
}

/** What there is to say of the descriptor in the subscription at this address. */
function readyEvent({ memory, descriptors }: Host, at: number, userdata: bigint, type: number): Event {
  const event: Event = { userdata, errno: 0, type, bytes: 1n, flags: 0 };
  try {
    const descriptor = descriptors.get(memory.u32(at + 16), RIGHTS.POLL_FD_READWRITE);
    if (descriptor.kind === "input") {
      event.bytes = BigInt(descriptor.bytes.length - descriptor.offset);
      if (event.bytes === 0n) event.flags = HANGUP;
    }
  } catch (error) {
    event.errno = error instanceof WasiError ? error.errno : ERRNO.IO;
  }
  return event;
}

function setEvent({ memory }: Host, at: number, event: Event): void {
  memory.bytes(at, EVENT_BYTES).fill(0);
  memory.setU64(at, event.userdata);
  memory.setU16(at + 8, event.errno);
  memory.setU8(at + 10, event.type);
  memory.setU64(at + 16, event.bytes);
  memory.setU16(at + 24, event.flags);
}
