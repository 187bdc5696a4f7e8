/**
 * Where QEMU lives: a root of its own with the distribution's programs read-only, the lease's folder, and the image files it was given;
 * no network but its own loopback, no other processes, no capabilities, no new privileges. As root it runs under a user id that owns
 * nothing else; without root, in a user namespace. Built with util-linux alone. Who controls the inputs: the owner's daemon; QEMU itself
 * is taken to be the guest's.
 */
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { run } from "../../programs/start.ts";
import type { Command } from "../../command.ts";
import { firstLineOf } from "../../thrown.ts";
import { WITHOUT_CALLS } from "./box-calls.ts";
import { JOIN_GROUPS, type Cgroup } from "../../cgroup.ts";

/** A range that distributions leave unused (systemd's UIDS-GIDS.md); a lease has one id of it to itself, but for rare collisions. */
const UID_BASE = 1_879_048_192;
const UID_COUNT = 65_536;

export interface BoundFile {
  /** On the host. */
  host: string;
  /** Name below /img. */
  name: string;
}

export interface Box {
  /** Of the lease, absolute; /w inside. */
  folder: string;
  files: readonly BoundFile[];
  /** Gives it /dev/kvm. */
  kvm: boolean;
  /** Starts a software TPM 2.0 beside it, which ends with it. */
  tpm: boolean;
  cgroup: Cgroup | null;
  /** Whether it lives on when this process ends, as leases do. */
  outlives: boolean;
  /** The largest file it may write, in MiB. */
  fileMibMax: number;
  /** A file of the host that it gets as descriptor 9. */
  descriptor?: string;
  uid: number;
}

/** Of what this process starts for itself. */
export const OWN_BOX = { files: [], kvm: false, tpm: false, cgroup: null, outlives: false } as const;

export const uidOf = (id: string): number => UID_BASE + (Number.parseInt(id.slice(0, 8), 16) % UID_COUNT);

/** Of either end of a connection in the box's network: what the kernel keeps where nobody reads. Loopback is as fast with more. */
const QUEUE_BYTES = 131_072;

/**
 * $1 lease folder, $2 kvm or -, $3 tpm or -, $4 largest file in 512-byte blocks, $5 words for setpriv, $6 for perl, then pairs of host file
 * and name, `--`, the command. Host paths never pass through the shell's parser. The parent-death signal of unshare's --kill-child is lost
 * when the user changes (prctl(2), PR_SET_PDEATHSIG): setpriv sets it again.
 */
const ENTER = `
set -e
# its user passes through the folders made here, whatever the daemon's umask
umask 022
folder=$1; kvm=$2; tpm=$3; blocks=$4
free="$5 --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs --pdeathsig KILL"
calls=$6
shift 6
root=$folder/root
mount -t tmpfs -o size=256k,mode=755,nosuid tmpfs "$root"
cd "$root"
mkdir w usr dev img old tmp etc proc
for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
# while the host's is still in sight: without root the kernel gives nobody a fuller view than they had
mount -t proc proc proc
echo 'nameserver 127.0.0.1' > etc/resolv.conf
mount -o bind,ro,nosuid,nodev /usr usr
mount -o bind,nosuid,nodev,noexec "$folder" w
for name in null zero urandom; do : > "dev/$name"; mount -o bind "/dev/$name" "dev/$name"; done
if [ "$kvm" = kvm ]; then : > dev/kvm; mount -o bind /dev/kvm dev/kvm; fi
while [ "$1" != -- ]; do : > "img/$2"; mount -o bind,ro,nosuid,nodev,noexec "$1" "img/$2"; shift 2; done
shift
ip link set lo up
# every address is local: what the guest connects to arrives at whoever listens here (network/gate.ts), or is refused
ip route add local 0.0.0.0/0 dev lo src 127.0.0.1
# where the kernel lets itself be told: what came for a guest and is not its own yet is little, of many connections, too
for each in rmem wmem; do echo "4096 ${QUEUE_BYTES} ${QUEUE_BYTES}" > "/proc/sys/net/ipv4/tcp_$each" || true; done 2>/dev/null
pivot_root . old
cd /
umount -l /old
mount -o remount,ro / 2>/dev/null || true
ulimit -c 0
ulimit -f "$blocks"
umask 077
if [ "$tpm" = tpm ]; then
  setpriv $free perl -e "$calls" \\
    swtpm socket --tpm2 --tpmstate dir=/w/tpm --ctrl type=unixio,path=/w/tpm.sock --log file=/w/tpm.log --daemon
fi
exec setpriv $free perl -e "$calls" "$@"
`;

/** Where a distribution's programs lie, for administrators too: a user's own PATH on Debian has none of the latter (pivot_root, mke2fs). */
export const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** Enters the control group first, opens what is handed down, then goes on as what follows. */
const OUTER = `
PATH=${SYSTEM_PATH}
export PATH
${JOIN_GROUPS}
[ -z "$2" ] || exec 9<>"$2"
shift 2
exec "$@"
`;

export const isRoot = (): boolean => process.getuid?.() === 0;
const NAMESPACES = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"] as const;

/** Free of groups, but for the one that may use KVM. */
async function dropWords(uid: number, kvm: boolean): Promise<string> {
  if (!isRoot()) return "";
  const group = kvm ? (await run("stat", ["-c", "%g", "/dev/kvm"])).stdout.trim() : "";
  return `--reuid=${uid} --regid=${uid} ${group === "" ? "--clear-groups" : `--groups=${group}`}`;
}

/** The command that runs a program in the box. */
export async function boxed(box: Box, command: readonly string[]): Promise<Command> {
  const inner = [
    ...["unshare", ...(isRoot() ? [] : ["--user", "--map-root-user"]), ...NAMESPACES, "sh", "-c", ENTER, "sh", box.folder],
    ...[box.kvm ? "kvm" : "-", box.tpm ? "tpm" : "-", String(box.fileMibMax * 2_048), await dropWords(box.uid, box.kvm), WITHOUT_CALLS],
    ...box.files.flatMap(({ host, name }) => [host, name]),
    "--",
    ...command,
  ];
  const bound = box.outlives ? [] : ["setpriv", "--pdeathsig", "KILL"];
  return ["sh", "-c", OUTER, "sh", (box.cgroup?.folders ?? []).join(" "), box.descriptor ?? "", ...bound, ...inner];
}

/** Why such a box cannot be made here, in words; null when it can: one is made in `folder`, which is this user's own. */
export async function boxProblem(folder: string): Promise<string | null> {
  for (const program of ["unshare", "setpriv", "ip", "perl"]) {
    const found = await run("sh", ["-c", `command -v ${program}`], { env: { PATH: SYSTEM_PATH } }).catch(() => null);
    if (!found) return `${program} is missing: apt install util-linux iproute2 perl-base`;
  }
  try {
    await mkdir(path.join(folder, "root"), { recursive: true });
    const [program, ...args] = await boxed({ ...OWN_BOX, folder, fileMibMax: 1, uid: UID_BASE }, ["true"]);
    await run(program, args, { timeout: 10_000 });
    return null;
  } catch (error) {
    return (
      `no box for machines can be made here: ${firstLineOf(error)}; ` +
      "without root the kernel must allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or run as root)"
    );
  }
}

/** The first process of the box as the host sees it: QEMU. */
export async function innermostOf(pid: number): Promise<number> {
  for (let at = pid; ;) {
    const children = (await readFile(`/proc/${at}/task/${at}/children`, "utf8").catch(() => "")).trim().split(" ").filter(Boolean);
    const name = (await readFile(`/proc/${at}/comm`, "utf8").catch(() => "")).trim();
    if (children.length === 0 || name.startsWith("qemu")) return at;
    at = Number(children[0]);
  }
}
