/** A program of this machine's in QEMU's place, as the domain's own script starts it: it shows a screen, and gives up its rights as QEMU does. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { DEVICE_MODEL, SCREEN } from "./device-model.ts";

const UID = 131_073;

/** Greets each viewer (RFC 6143, 7.1.1), from an empty root and as a user of its own. */
const STAND_IN = `
use strict;
use Socket;
socket(my $listener, PF_UNIX, SOCK_STREAM, 0) or die;
bind($listener, pack_sockaddr_un('${SCREEN}')) or die;
listen($listener, 8) or die;
unless (grep { $_ eq 'as-root' } @ARGV) {
  chroot 'empty' or die;
  chdir '/' or die;
  $) = '${UID} ${UID}';
  $( = ${UID};
  $< = $> = ${UID};
}
$SIG{PIPE} = 'IGNORE';
open(my $ready, '>&=', 3) or die;
syswrite($ready, 'ready') or die;
my @viewers;
while (accept(my $viewer, $listener)) { syswrite($viewer, "RFB 003.008\\n"); push @viewers, $viewer }
`;

/** By what its configuration says; `words` are its arguments. */
export async function startDeviceModel(config: string, ...words: string[]): Promise<ChildProcess> {
  const program = /^device_model_override="(.*)"$/m.exec(config)?.[1];
  if (program === undefined) throw new Error("the domain has no device model");
  const folder = path.dirname(program);
  const [standIn, started] = [path.join(folder, "stand-in"), path.join(folder, "started")];
  await writeFile(standIn, `#!/usr/bin/perl\n${STAND_IN}`, { mode: 0o755 });
  await mkdir(path.join(folder, "empty"), { recursive: true });
  await writeFile(started, (await readFile(program, "utf8")).replaceAll(DEVICE_MODEL, "./stand-in"), { mode: 0o700 });
  const child = spawn(started, words, { stdio: ["ignore", "ignore", "ignore", "pipe"], cwd: "/" });
  const ready = child.stdio[3];
  if (!(ready instanceof Readable)) throw new Error("a process was started without a pipe");
  const [said] = (await Promise.race([once(ready, "data"), once(child, "exit")])) as [unknown];
  if (!Buffer.isBuffer(said))
    throw new Error(`the stand-in for QEMU ended before it was ready: ${await readFile(path.join(folder, "device-model.log"), "utf8")}`);
  return child;
}
