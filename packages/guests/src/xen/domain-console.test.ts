/** A console beside a pseudo-terminal of this machine: all of it is kept, whoever else ends, and no more than was ordered. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { boundOf, keepConsole, leaveConsole, printedBytes, typeOn, CONSOLE_LOG } from "./domain-console.ts";

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

describe("a domain's console", () => {
  let folder: string;
  let daemon: ChildProcess;
  let tty: string;
  let typed = "";
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-console-"));
    daemon = spawn("perl", ["-e", DAEMON], { stdio: ["pipe", "pipe", "inherit"] });
    daemon.stdin!.on("error", () => {}); // it is ended with more to print
    daemon.stdout!.on("data", (bytes: Buffer) => void (typed += bytes.toString("latin1")));
    typed = "";
    await until(() => {
      if (daemon.exitCode !== null) throw new Error("there is no terminal");
      return typed.includes("\n");
    });
    tty = typed.trim();
    typed = "";
  });
  afterEach(async () => {
    await leaveConsole(folder);
    daemon.kill("SIGKILL");
    await rm(folder, { recursive: true });
  });
  const log = (): Promise<string> => readFile(path.join(folder, CONSOLE_LOG), "latin1");
  const isLogged = (text: string): Promise<void> => until(async () => (await log().catch(() => "")) === text);

  it("is kept line by line, however many there are, and goes on with another keeper", async () => {
    await keepConsole(folder, tty, 1);
    let all = "";
    for (let i = 0; i < 40; i++) {
      daemon.stdin!.write(`line ${i}\n`);
      await isLogged((all += `line ${i}\n`));
    }
    await keepConsole(folder, tty, 1); // there is one
    await leaveConsole(folder);
    daemon.stdin!.write("while nobody listens\n");
    await keepConsole(folder, tty, 1);
    await isLogged(`${all}while nobody listens\n`);
  });

  it("is kept no further than was ordered, by the kernel", async () => {
    await keepConsole(folder, tty, 1);
    daemon.stdin!.write("x".repeat(2 * 1024 * 1024));
    await until(async () => (await printedBytes(folder)) === boundOf(1));
    await keepConsole(folder, tty, 1);
    expect(await printedBytes(folder)).toBe(1024 * 1024 + 1);
  });

  it("is typed on", async () => {
    await typeOn(tty, Buffer.from("ls\r"));
    await until(() => typed === "ls\r");
  });

  it("that nobody reads is said to be one", async () => {
    daemon.kill("SIGSTOP");
    await expect(typeOn(tty, Buffer.alloc(64 * 1024, "x"))).rejects.toThrow("does not read its console");
    daemon.kill("SIGCONT");
  });
});
