/** A pseudo-terminal of this machine in place of a domain's. */
import { spawn } from "node:child_process";

/** Opens a terminal in raw mode as xenconsoled does, says its name, and passes its own input on to it and back what is typed. */
const DAEMON = `
use strict;
open(my $master, '+<', '/dev/ptmx') or die;
ioctl($master, 0x40045431, my $locked = pack('i', 0)) or die; # TIOCSPTLCK
ioctl($master, 0x80045430, my $number = pack('I', 0)) or die; # TIOCGPTN
my $tty = '/dev/pts/' . unpack('I', $number);
open(my $slave, '+<', $tty) or die;
system('stty', '-F', $tty, 'raw', '-echo') == 0 or die;
syswrite(STDOUT, "$tty\n");
while (1) {
  my $ready = '';
  vec($ready, fileno STDIN, 1) = vec($ready, fileno $master, 1) = 1;
  select($ready, undef, undef, undef);
  if (vec($ready, fileno STDIN, 1)) {
    sysread(STDIN, my $piece, 512) or last;
    for (my $at = 0; $at < length $piece;) { $at += syswrite($master, $piece, length($piece) - $at, $at) }
  }
  if (vec($ready, fileno $master, 1)) { sysread($master, my $typed, 4096); syswrite(STDOUT, $typed) }
}
`;

export interface Terminal {
  tty: string;
  print(text: string): void;
  /** What was typed so far. */
  readonly typed: string;
  /** Nobody reads what is typed, or prints; else that goes on. */
  stop(isStopped: boolean): void;
  close(): void;
}

export async function openTerminal(): Promise<Terminal> {
  const daemon = spawn("perl", ["-e", DAEMON], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  daemon.stdin.on("error", () => {}); // it is ended with more to print
  const named = Promise.withResolvers<void>();
  daemon.once("exit", () => named.reject(new Error("there is no terminal")));
  daemon.stdout.on("data", (bytes: Buffer) => {
    said += bytes.toString("latin1");
    if (said.includes("\n")) named.resolve();
  });
  await named.promise;
  const tty = said.slice(0, said.indexOf("\n"));
  return {
    tty,
    print: (text) => void daemon.stdin.write(text),
    get typed() {
      return said.slice(tty.length + 1);
    },
    stop: (isStopped) => void daemon.kill(isStopped ? "SIGSTOP" : "SIGCONT"),
    close: () => void daemon.kill("SIGKILL"),
  };
}
