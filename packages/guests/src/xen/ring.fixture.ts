/**
 * A domain's side of one of its consoles, without a hypervisor: ring.pl runs as it is, with the two devices that it asks (gntdev, evtchn)
 * played by a file that stands for the page, and a pair of sockets. The guest's words are whatever a test writes.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, rm, type FileHandle } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

/** What the kernel would answer; descriptor 4 is the event channel: a byte each way is a call. */
const KERNEL = `
  open(our $calls, '+<&=', 4) or die;
  my %is;
  BEGIN {
    no strict;
    *CORE::GLOBAL::sysopen = sub (*$$;$) {
      my $opened = $_[1] eq '/dev/xen/gntdev' ? CORE::sysopen($_[0], $ENV{PAGE}, 2) : CORE::open($_[0], '+<&', $main::calls);
      $is{fileno $_[0]} = $_[1];
      return $opened;
    };
    *CORE::GLOBAL::ioctl = sub (*$$) {
      my ($handle, $what) = @_;
      if ($what == 0x00044504) { CORE::syswrite($main::calls, 'n') }
      return $what == 0x00084501 ? 5 : '0 but true';
    };
    *CORE::GLOBAL::sysread = sub (*\\$$;$) {
      my ($handle, $into, $length, $at) = @_;
      return $at ? CORE::sysread($handle, $$into, $length, $at) : CORE::sysread($handle, $$into, $length) if ($is{fileno $handle} // '') ne '/dev/xen/evtchn';
      my $n = CORE::sysread($handle, my $call, 1) or return $n;
      $$into = pack('L', 5);
      return 4;
    };
    *CORE::GLOBAL::syswrite = sub (*$;$$) {
      my ($handle, @rest) = @_;
      return 4 if ($is{fileno $handle} // '') eq '/dev/xen/evtchn'; # it may call again
      return @rest > 1 ? CORE::syswrite($handle, $rest[0], $rest[1], $rest[2] // 0) : CORE::syswrite($handle, $rest[0]);
    };
  }
  do $ENV{RING} or die $@;
`;

export const PLACES = { in: 0, out: 1_024, inConsumed: 3_072, inProduced: 3_076, outConsumed: 3_080, outProduced: 3_084 } as const;

export interface GuestRing {
  /** At the host's end. */
  wire: Socket;
  page: FileHandle;
  number(at: number): Promise<number>;
  setNumber(at: number, value: number): Promise<void>;
  /** As the guest's kernel notifies. */
  call(): void;
  /** Until the host has called the guest so often in all. */
  called(times: number): Promise<void>;
  ended: Promise<number | null>;
  close(): Promise<void>;
}

/** `from`: where both rings' indices stand. */
export async function openGuestRing(from = 0): Promise<GuestRing> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-ring-"));
  const file = path.join(folder, "page");
  const page = await open(file, "w+");
  await page.truncate(4_096);
  const number = async (at: number): Promise<number> => (await page.read(Buffer.alloc(4), 0, 4, at)).buffer.readUInt32LE();
  const setNumber = async (at: number, value: number): Promise<void> => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    await page.write(bytes, 0, 4, at);
  };
  for (const at of [PLACES.inConsumed, PLACES.inProduced, PLACES.outConsumed, PLACES.outProduced]) await setNumber(at, from);
  const env = { ...process.env, PAGE: file, RING: path.join(import.meta.dirname, "ring.pl") };
  const child: ChildProcess = spawn("perl", ["-e", KERNEL, "7", "8", "9"], { env, stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
  const [wire, calls] = [child.stdio[3] as Socket, child.stdio[4] as Socket];
  let calledTimes = 0;
  for (const each of [wire, calls]) each.on("error", () => {});
  calls.on("data", (bytes: Buffer) => (calledTimes += bytes.length));
  return {
    ...{ wire, page, number, setNumber },
    call: () => void calls.write("c"),
    async called(times) {
      while (calledTimes < times) await once(calls, "data");
    },
    ended: once(child, "exit").then(([code]) => code as number | null),
    async close() {
      child.kill("SIGKILL");
      await page.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
