/**
 * Dom0 of a host that somebody names by XENO_XEN_HOST (`ssh://root@host:22`, as ssh takes it), with this repository's product and a port of
 * this machine, as long as a suite needs it. The host's own Xen, kernel and toolstack are what is tried.
 */
import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { productDisk } from "../vm/product.ts";
import type { Ran, SystemdHost } from "../vm/systemd-host.ts";

/** No question of ssh's is asked: keys and hosts are known, or it fails. */
const OPTIONS = ["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=30"];
const FILE = "/var/tmp/xeno-product.sqsh";

interface HostOf {
  /** Of this machine, at the same number there. */
  port: number;
  /** Where the product is to be, and what a suite makes: both are its own, and nothing of the owner's is put aside for them. */
  product: string;
  data: string;
  /** Of ssh. */
  options?: readonly string[];
}

const setUp = ({ product, data }: HostOf): string => `set -e
[ "$(id -u)" = 0 ] || { echo "the user is not root" >&2; exit 1; }
grep -q control_d /proc/xen/capabilities || { echo "the host is not dom0 of Xen" >&2; exit 1; }
for each in ${product} ${data} ${FILE}; do
  [ ! -e "$each" ] || [ -d "$each" -a -z "$(ls -A "$each")" ] || { echo "$each is there: move it away" >&2; exit 1; }
done
[ "$(xl list | wc -l)" = 2 ] || { echo "it has other domains: suites need a host of their own" >&2; exit 1; }
mkdir -p ${product} ${data}
cat >${FILE}
mount -t squashfs -o ro,loop ${FILE} ${product}`;

/** Nothing of the suite's is left, whatever it came to. */
const takeDown = ({ product, data }: HostOf): string => `[ ! -e /run/xeno.pid ] || kill -KILL -$(cat /run/xeno.pid) 2>/dev/null
for each in $(xl list | awk '$1 ~ /^xeno-/ {print $2}'); do xl destroy "$each"; done
umount ${product}; rm -rf ${data} ${FILE} /run/xeno.pid ${data}.log; rmdir ${product}; true`;

interface Asked {
  words: readonly string[];
  input?: Readable;
}

function sshTo(target: string, options: readonly string[]) {
  return async ({ words, input }: Asked): Promise<Ran> => {
    const child = spawn("ssh", [...OPTIONS, ...options, target, ...words], { stdio: ["pipe", "pipe", "pipe"] });
    const said = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (part: string) => (said.stdout += part));
    child.stderr.setEncoding("utf8").on("data", (part: string) => (said.stderr += part));
    child.stdin.on("error", () => {}); // it has ended, and said why
    if (input) input.pipe(child.stdin);
    else child.stdin.end();
    const code = await new Promise<number>((resolve, reject) => child.once("error", reject).once("close", (ended) => resolve(ended ?? -1)));
    return { code, ...said };
  };
}

/** One word of sh(1). */
const word = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
const scripted = (script: string): string[] => [`sh -c ${word(script)}`];

/** Throws, in words, where the host cannot be used. */
export async function sshDom0(target: string, of: HostOf): Promise<SystemdHost> {
  const { port, options = [] } = of;
  const ssh = sshTo(target, options);
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-ssh-dom0-"));
  const file = path.join(folder, "product.sqsh");
  const forward = ["-N", "-R", `127.0.0.1:${port}:127.0.0.1:${port}`];
  try {
    await productDisk(file);
    const set = await ssh({ words: scripted(setUp(of)), input: createReadStream(file) });
    if (set.code !== 0) throw new Error(`the Xen host ${target} cannot be used: ${set.stderr.trim()}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const forwarding = spawn("ssh", [...OPTIONS, ...options, ...forward, target], { stdio: ["ignore", "ignore", "inherit"] });
  const gone = new Promise<void>((resolve) => forwarding.once("exit", () => resolve()).once("error", () => resolve()));
  const end = (): void => void forwarding.kill();
  process.once("exit", end);
  return {
    sh: (script) => ssh({ words: scripted(script) }),
    async close() {
      end();
      await gone;
      process.off("exit", end);
      await ssh({ words: scripted(takeDown(of)) });
    },
  };
}
