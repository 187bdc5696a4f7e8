/**
 * The network that a domain's card lies in: a namespace of its own in dom0, in which every address but the guest's is local, so that no
 * packet of it is ever routed (network/gate.ts decides what goes on from there). A process that does nothing holds it and outlives the
 * daemon; a domain that starts again finds it as it was. Who controls the inputs: the guest, every packet; this program, every name.
 */
import { execFile, spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { isProcessId, isAlive, spawned, startTicksOf, type ProcessId } from "../pool.ts";
import { parseOwn } from "../json.ts";
import { codeOf } from "../thrown.ts";
import { writeOwn } from "../write-own.ts";

const run = promisify(execFile);
const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
const BOUNDS = { timeout: 60_000, killSignal: "SIGKILL", env: ENV, cwd: "/" } as const;
const HOLDER = "network.json";
const GONE_MS = 10;

/** As QEMU's user network has them: the guest, its way out, and who answers names. */
export const NETWORK = { guest: "10.0.2.15", gateway: "10.0.2.2", names: "10.0.2.3", bits: 24, mac: "00:16:3e:12:34:56" } as const;

/** Every address is local, but the guest's own network: what is for it arrives at whoever listens here, or is refused. */
const ENTER = `
set -e
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 2>/dev/null || true
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null || true
ip link set lo up
ip route add local default dev lo
echo ready
exec sleep infinity >/dev/null
`;

/**
 * The way to the guest stands in the table of what is local, where the narrower of two ways wins: only addresses in that table can be answered
 * from. The guest's card is known, so it is reached before it has an address. Answers to
 * names come from where they were asked.
 */
const ATTACH = `
set -e
card=$1
ip address add ${NETWORK.gateway}/${NETWORK.bits} dev "$card"
ip address add ${NETWORK.names}/${NETWORK.bits} dev "$card"
ip link set "$card" up
ip route add table local 10.0.2.0/${NETWORK.bits} dev "$card" src ${NETWORK.names}
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
  const child = spawn("unshare", ["--net", "sh", "-c", ENTER], { detached: true, stdio: ["ignore", "pipe", "ignore"], cwd: "/", env: ENV });
  const isReady = new Promise<boolean>((resolve) => {
    child.stdout.once("data", () => resolve(true));
    child.once("exit", () => resolve(false));
  });
  const pid = await spawned(child);
  await writeOwn(path.join(folder, HOLDER), JSON.stringify({ pid, startTicks: (await startTicksOf(pid)) ?? "gone" } satisfies ProcessId));
  if (!(await isReady)) throw new Error("no network for the domain could be made");
  child.stdout.destroy();
  child.unref();
  return pid;
}

/** Into that network goes a card of dom0's, by its name there. */
export async function attachCard(holder: number, card: string): Promise<void> {
  await run("ip", ["link", "set", "dev", card, "netns", String(holder)], BOUNDS);
  await run("nsenter", ["--target", String(holder), "--net", "sh", "-c", ATTACH, "sh", card], BOUNDS);
}

/** Whatever is in it is gone with it, but for cards of domains that still run: those are dom0's again, and down. */
export async function leaveNetwork(folder: string): Promise<void> {
  const id = await holderIn(folder);
  try {
    if (id) process.kill(id.pid, "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
  while (id && (await isAlive(id))) await new Promise((resolve) => setTimeout(resolve, GONE_MS));
  await rm(path.join(folder, HOLDER), { force: true });
}
