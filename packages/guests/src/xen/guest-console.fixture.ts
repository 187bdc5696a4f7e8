/** A pseudo-terminal of this machine as one of a guest's consoles, at whose other end whoever connects comes and goes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

/** As a ring does, it keeps what the guest says until somebody is there. */
const CONSOLE = `
use strict; use Socket;
open(my $master, '+<', '/dev/ptmx') or die;
ioctl($master, 0x40045431, my $locked = pack('i', 0)) or die; # TIOCSPTLCK
ioctl($master, 0x80045430, my $number = pack('I', 0)) or die; # TIOCGPTN
my $tty = '/dev/pts/' . unpack('I', $number);
open(my $held, '+<', $tty) or die;
socket(my $door, PF_UNIX, SOCK_STREAM, 0) or die;
bind($door, sockaddr_un($ARGV[0])) and listen($door, 9) or die $!;
$SIG{PIPE} = 'IGNORE';
syswrite(STDOUT, "$tty\\n");
while (accept(my $who, $door)) {
  for (;;) {
    my $r = ''; vec($r, fileno $_, 1) = 1 for $master, $who;
    select($r, undef, undef, undef);
    if (vec($r, fileno $who, 1)) { my $n = sysread($who, my $bytes, 1024) or last; for (my $at = 0; $at < $n;) { $at += syswrite($master, $bytes, $n - $at, $at) // die } }
    if (vec($r, fileno $master, 1)) { my $n = sysread($master, my $bytes, 2048) or last; for (my $at = 0; $at < $n;) { $at += syswrite($who, $bytes, $n - $at, $at) // last } }
  }
}
`;

/** In place of ring.pl. */
const WIRE = `
use strict; use Socket;
socket(my $to, PF_UNIX, SOCK_STREAM, 0) or die;
connect($to, sockaddr_un($ARGV[0])) or die $!;
open(my $far, '+<&=', 3) or die;
for (;;) {
  my $r = ''; vec($r, fileno $_, 1) = 1 for $to, $far;
  select($r, undef, undef, undef);
  for ([$to, $far], [$far, $to]) {
    my ($from, $into) = @$_;
    next unless vec($r, fileno $from, 1);
    my $n = sysread($from, my $bytes, 4096) or exit;
    for (my $at = 0; $at < $n;) { $at += syswrite($into, $bytes, $n - $at, $at) // exit }
  }
}
`;

export interface GuestConsole {
  /** As the guest finds it. */
  tty: string;
  /** For what comes to its other end. */
  wire: readonly [program: string, ...args: string[]];
  close(): Promise<void>;
}

export async function openGuestConsole(): Promise<GuestConsole> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-console-"));
  const at = path.join(folder, "s");
  const holder = spawn("perl", ["-e", CONSOLE, at], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(holder, "exit").then(() => Promise.reject(new Error("there is no terminal")));
  ended.catch(() => {});
  const [named] = (await Promise.race([once(holder.stdout, "data"), ended])) as [Buffer];
  return {
    tty: named.toString().trim(),
    wire: ["perl", "-e", WIRE, at],
    async close() {
      holder.kill("SIGKILL");
      await once(holder, "close");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
