/**
 * The network that a domain's card lies in: a namespace of its own in dom0, in which every address but the guest's is local, so that no
 * packet of it is ever routed (network/gate.ts decides what goes on from there). A process that does nothing holds it and outlives the
 * daemon; a domain that starts again finds it as it was. Who controls the inputs: the guest, every packet; this program, every name.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "../programs/start.ts";
import { isProcessId, isAlive, spawned, startTicksOf, type ProcessId } from "../programs/process-id.ts";
import { parseOwn } from "../json.ts";
import { codeOf, messageOf } from "../thrown.ts";
import { writeOwn } from "../write-own.ts";
import { isThere } from "./domain-disk.ts";

const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
const BOUNDS = { timeout: 60_000, killSignal: "SIGKILL", env: ENV, cwd: "/" } as const;
const HOLDER = "network.json";
const COMPLAINT_CHARS = 300;
const GONE_MS = 10;

/** As QEMU's user network has them: the guest, its way out, and who answers names. */
export const NETWORK = {
  guest: "10.0.2.15",
  gateway: "10.0.2.2",
  names: "10.0.2.3",
  mask: "255.255.255.0",
  mac: "00:16:3e:12:34:56",
} as const;

/**
 * Every address is local, but the guest's own: what is for it arrives at whoever listens here, or is refused. What dom0's network does for
 * itself, such as to route, is not taken over (a new namespace copies it). One guest's connections keep 64 MiB of dom0's memory at most.
 * The process lives once it was written down where it is found.
 */
const ENTER = `
set -e
cd /proc/sys/net/ipv4
echo 0 >ip_forward
for each in conf/all conf/default; do
  for name in accept_local route_localnet accept_source_route accept_redirects proxy_arp; do echo 0 >"$each/$name"; done
done
echo 1 >icmp_echo_ignore_all
echo "4096 131072 262144" >tcp_rmem
echo "4096 65536 262144" >tcp_wmem
echo 4096 >tcp_max_tw_buckets
for each in /proc/sys/net/ipv6/conf/all /proc/sys/net/ipv6/conf/default; do
  if [ -d "$each" ]; then echo 1 >"$each/disable_ipv6"; fi
done
ip link set lo up
ip route add local default dev lo
echo ready
read -r kept
exec sleep infinity >/dev/null </dev/null
`;

/**
 * The way to the guest stands in the table of what is local, where the narrower of two ways wins: only addresses in that table can be
 * answered from. It is one address: a guest that says it has another is not heard, and takes no place among dom0's neighbours. Its card is
 * known, so it is reached before it has an address. Answers to names come from where they were asked.
 */
const ATTACH = `
set -e
card=$1
ip address replace ${NETWORK.gateway}/32 dev "$card"
ip address replace ${NETWORK.names}/32 dev "$card"
ip link set "$card" up
ip route replace table local ${NETWORK.guest}/32 dev "$card" src ${NETWORK.names}
ip neighbour replace ${NETWORK.guest} lladdr ${NETWORK.mac} dev "$card" nud permanent
`;

/** The process that holds it, if there is one. */
async function holderIn(folder: string): Promise<ProcessId | null> {
  const file = path.join(folder, HOLDER);
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) return null;
  const id = parseOwn(file, text, isProcessId);
  return (await isAlive(id)) ? id : null;
}

/** The number of the process that holds it; made where there is none. */
export async function domainNetwork(folder: string): Promise<number> {
  const before = await holderIn(folder);
  if (before) return before.pid;
  const child = spawn("unshare", ["--net", "sh", "-c", ENTER], { detached: true, stdio: ["pipe", "pipe", "pipe"], cwd: "/", env: ENV });
  let complaint = "";
  child.stderr.on("data", (bytes) => (complaint = (complaint + String(bytes)).slice(0, COMPLAINT_CHARS)));
  child.stdin.on("error", () => {}); // it has ended, and said why
  const late = setTimeout(() => child.kill("SIGKILL"), BOUNDS.timeout);
  const isReady = new Promise<boolean>((resolve) => {
    child.stdout.once("data", () => resolve(true));
    child.once("close", () => resolve(false));
  }).finally(() => clearTimeout(late));
  const pid = await spawned(child);
  try {
    if (!(await isReady)) throw new Error(`no network for the domain could be made: ${complaint.trim().split("\n")[0] ?? ""}`);
    await writeOwn(path.join(folder, HOLDER), JSON.stringify({ pid, startTicks: (await startTicksOf(pid)) ?? "gone" } satisfies ProcessId));
    child.stdin.end("kept\n");
    return pid;
  } finally {
    for (const each of [child.stdout, child.stderr]) each.destroy();
    child.stdin.end(); // who was not told to stay ends
    child.unref();
  }
}

/** Of a domain's only card, in dom0. */
export const cardName = (domain: number): string => `vif${domain}.0`;

/** Into that network goes a card of dom0's, by its name, if it is not there yet. */
export async function attachCard(holder: number, card: string): Promise<void> {
  if (await isThere(`/sys/class/net/${card}`)) await run("ip", ["link", "set", "dev", card, "netns", String(holder)], BOUNDS);
  await run("nsenter", ["--target", String(holder), "--net", "sh", "-c", ATTACH, "sh", card], BOUNDS);
}

/**
 * Whatever is in it is gone with it, but for cards of domains that still run: those are dom0's again, and down. A record that is none (a
 * host that lost power) names nobody, and is in nobody's way.
 */
export async function leaveNetwork(folder: string): Promise<void> {
  const id = await holderIn(folder).catch(() => null);
  try {
    if (id) process.kill(id.pid, "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
  while (id && (await isAlive(id))) await new Promise((resolve) => setTimeout(resolve, GONE_MS));
  await rm(path.join(folder, HOLDER), { force: true });
}

/** Why no domain has a card here, in words for its owner; null where one can. */
export async function networkMissing(): Promise<string | null> {
  await run("modprobe", ["--quiet", "xen-netback"], BOUNDS).catch(() => {}); // it may be part of the kernel
  if (!(await isThere("/sys/bus/xen-backend/drivers/vif"))) return "the kernel's xen-netback";
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-network-"));
  try {
    const holder = await domainNetwork(folder);
    await run("nsenter", ["--target", String(holder), "--net", "ip", "link", "show", "dev", "lo"], BOUNDS);
    return null;
  } catch (error) {
    return `unshare, nsenter and ip (apt install util-linux iproute2): ${messageOf(error).slice(0, COMPLAINT_CHARS)}`;
  } finally {
    await leaveNetwork(folder);
    await rm(folder, { recursive: true, force: true });
  }
}
