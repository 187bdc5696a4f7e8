/** A domain's consoles between the host's end and the guest's own programs (init/shell.pl, init/sessions.pl), over pseudo-terminals of this machine. */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Frames, frame, type Frame } from "@xenoservers/protocol/channel";
import { until as met } from "../../../../test/until.ts";
import { StdinPort } from "../qemu/oci/stdin-port.ts";
import { beginSession } from "./console-session.ts";
import { openWire } from "./console-wire.ts";
import { DomainSessions } from "./domain-sessions.ts";
import { openGuestConsole, type GuestConsole } from "./guest-console.fixture.ts";

const SHELL = path.resolve(import.meta.dirname, "../qemu/init/shell.pl");
const MS = 30_000;

let console: GuestConsole;
let shell: ChildProcess;
beforeEach(async () => {
  console = await openGuestConsole();
  shell = spawn("perl", [SHELL, "/", "-", console.tty], { stdio: ["ignore", "ignore", "inherit"], detached: true });
});
afterEach(async () => {
  process.kill(-shell.pid!, "SIGKILL");
  await once(shell, "close");
  await console.close();
});

const begun = async (): Promise<Duplex> => beginSession(await openWire(console.wire), MS);
const settings = (...pairs: string[]): Buffer => Buffer.from(pairs.join("\0"));

/** What comes until a frame of that letter. */
async function until(session: Duplex, letter: string): Promise<Frame[]> {
  const frames = new Frames();
  const all: Frame[] = [];
  for await (const bytes of session.iterator({ destroyOnReturn: false })) {
    all.push(...frames.take(bytes as Buffer)!);
    if (all.some((each) => each.letter === letter)) break;
  }
  return all;
}
const printed = (frames: Frame[]): Buffer => Buffer.concat(frames.filter(({ letter }) => letter === "o").map(({ bytes }) => bytes));

test("every byte goes to a program and comes back, those of the session's own words too", async () => {
  const session = await begun();
  const bytes = Buffer.concat([Buffer.from([0x10, 0x10, 0x10, 0x53]), randomBytes(300_000), Buffer.from([0x10])]);
  session.write(Buffer.concat([frame("R", settings("arg=cat")), frame("I", bytes), frame("E")]));
  const frames = await until(session, "x");
  expect(printed(frames).equals(bytes)).toBe(true);
  expect(Buffer.from(frames.at(-1)!.bytes).toString()).toBe("0");
  session.destroy();
});

test("who comes after one that was cut off in the midst of a frame begins anew, and what ran has ended", async () => {
  const first = await begun();
  first.write(
    Buffer.concat([frame("R", settings("arg=sh", "arg=-c", "arg=echo $$; exec sleep 1000")), frame("I", Buffer.alloc(9)).subarray(0, 7)]),
  );
  const pid = printed(await until(first, "o"))
    .toString()
    .trim();
  first.destroy();
  const second = await begun();
  second.write(
    frame(
      "R",
      settings("arg=sh", "arg=-c", `arg=while grep -q '^State:.[RSD]' /proc/${pid}/status; do sleep 0.1; done 2>/dev/null; echo ended`),
    ),
  );
  expect(printed(await until(second, "x")).toString()).toBe("ended\n");
  second.destroy();
});

test("who does not read stops who prints, and who comes next is heard all the same", async () => {
  const first = await begun();
  first.write(frame("R", settings("arg=yes")));
  await once(first, "readable");
  first.destroy();
  const second = await begun();
  second.write(frame("R", settings("arg=echo", "arg=here")));
  expect(printed(await until(second, "x")).toString()).toBe("here\n");
  second.destroy();
});

test("a second shell at a console that one has ends by itself", async () => {
  const session = await begun();
  const second = spawn("perl", [SHELL, "/", "-", console.tty], { stdio: ["ignore", "ignore", "inherit"] });
  expect((await once(second, "exit"))[0]).toBe(0);
  session.write(frame("R", settings("arg=echo", "arg=still here")));
  expect(printed(await until(session, "x")).toString()).toBe("still here\n");
  session.destroy();
});

test("a guest that never answers is given up in time, and its wire with it", async () => {
  process.kill(-shell.pid!, "SIGSTOP");
  const wire = await openWire(console.wire);
  const closed = once(wire, "close");
  await expect(beginSession(wire, 50)).rejects.toThrow("nothing in the guest answers on its console");
  await closed;
});

/** What an image's program reads, as its init has it (init/domain.pl, init/container.pl): what it takes is this process's output. */
const READER = `
  my ($sessions, $container, $tty) = @ARGV;
  sub fail { die @_ } do $sessions or die; do $container or die; pipe(my $r, my $w); socketpair(my $near, my $far, 1, 1, 0);
  if (!fork()) { close $near; close STDOUT; sessions(console($tty), sub { $far }) }
  close $far; open(my $to, '>&', 1); close STDOUT; nonblocking($to); $SIG{PIPE} = 'IGNORE';
  my $input = input($near, $to, undef);
  while (1) { my ($r, $w) = ('', ''); $input->{wants}->(\\$r, \\$w); my $n = select($r, $w, undef, 1); $input->{moved}->($n > 0 ? ($r, $w) : ('', '')) }
`;

test("a program's input comes whole, though its guest was spoken to again and again before it had booted", async () => {
  const other = await openGuestConsole();
  const wire = await openWire(other.wire);
  let said = 0;
  const write = wire.write.bind(wire);
  wire.write = ((...args: Parameters<typeof write>) => (said++, write(...args))) as typeof wire.write;
  const session = beginSession(wire, null);
  await met(() => said >= 4);
  const files = ["sessions.pl", "container.pl"].map((name) => path.resolve(SHELL, "..", name));
  const guest = spawn("perl", ["-e", READER, ...files, other.tty], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  const begins = Promise.withResolvers<void>();
  const port = new StdinPort(await session, () => begins.resolve());
  await begins.promise;
  const bytes = Buffer.concat([Buffer.from([0x10, 0x7e, 0x7d, 0x10]), randomBytes(60_000)]);
  expect(port.receive(0, bytes, true)).toBeNull();
  const read: Buffer[] = [];
  for await (const part of guest.stdout!) read.push(part as Buffer);
  expect(Buffer.concat(read).equals(bytes)).toBe(true);
  port.close();
  process.kill(-guest.pid!, "SIGKILL");
  await other.close();
});

/** The first process of an image's guest, as far as its control console goes: begins the shell when it is told to, once. */
const INIT = `
  my ($sessions, $shell, $control, @others) = @ARGV;
  do $sessions or die; pipe(my $r, my $w); socketpair(my $near, my $far, 1, 1, 0);
  if (!fork()) { sessions(console($control), sub { $far }) }
  my $begun;
  while (sysread($near, my $letter, 1)) { if ($letter eq 'Y' && !$begun++ && !fork()) { exec 'perl', $shell, '/', '-', @others } }
`;

describe("of a domain", () => {
  const consoles = new Map<number, GuestConsole>();
  let init: ChildProcess;
  let sessions: DomainSessions;
  beforeEach(async () => {
    for (const place of [1, 3, 4]) consoles.set(place, await openGuestConsole());
    init = spawn("perl", ["-e", INIT, path.resolve(SHELL, "../sessions.pl"), SHELL, ...[...consoles.values()].map(({ tty }) => tty)], {
      ...{ stdio: ["ignore", "ignore", "inherit"], detached: true },
    });
  });
  afterEach(async () => {
    sessions.close();
    process.kill(-init.pid!, "SIGKILL");
    await once(init, "close");
    for (const each of consoles.values()) await each.close();
    consoles.clear();
  });
  const open = (): DomainSessions => {
    let asked = 0;
    sessions = new DomainSessions({
      id: () => Promise.resolve(7),
      xl: { consoleOffer: (_, of) => ((asked = typeof of === "string" ? 1 : 3 + of.shell), Promise.resolve({ grant: 1, port: 2 })) },
      wireCommand: () => consoles.get(asked)!.wire,
    });
    return sessions;
  };

  test("an image's init begins the shell when it is wanted, and two at once have a console each", async () => {
    const { shell } = open();
    const one = await shell.open();
    const two = await shell.open();
    one.write(frame("R", settings("arg=cat")));
    two.write(Buffer.concat([frame("R", settings("arg=echo", "arg=two"))]));
    expect(printed(await until(two, "x")).toString()).toBe("two\n");
    one.write(Buffer.concat([frame("I", Buffer.from("one")), frame("E")]));
    expect(printed(await until(one, "x")).toString()).toBe("one");
    for (const each of [one, two]) each.destroy();
  });

  test("a daemon that comes later is heard as the first was", async () => {
    const first = await open().shell.open();
    first.write(frame("R", settings("arg=sleep", "arg=1000")));
    sessions.close();
    const later = await open().shell.open();
    later.write(frame("R", settings("arg=echo", "arg=later")));
    expect(printed(await until(later, "x")).toString()).toBe("later\n");
  });
});
