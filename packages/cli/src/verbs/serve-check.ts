/**
 * `xeno serve --check`: what strangers could reach, how strong the sandbox is, what is withheld, what it might earn: before anything is
 * listed.
 */
import path from "node:path";
import { DRIVERS, costPerHourNanos, isDriver } from "@xenoservers/market";
import { home, mib } from "@xenoservers/sdk";
import { scratch } from "../local/scratch.ts";
import { heldText } from "../output/held.ts";
import { print, printJson } from "../output/terminal.ts";
import { money, table } from "../output/ui.ts";

export async function checkMachine(folder: string, configFile: string, json: boolean): Promise<void> {
  const within = await scratch("check");
  try {
    const report = await inspect(folder, configFile, within.folder);
    if (json) printJson(report.facts);
    else for (const line of report.lines) line();
  } finally {
    await within.remove();
  }
}

async function inspect(folder: string, configFile: string, within: string) {
  const { capacityOf, inspectDrivers, priceOf, readServerConfig, selfTest } = await import("@xenoservers/xenoserver");
  const config = await readServerConfig(configFile);
  const { sandbox, states } = await inspectDrivers({ folder: within, cache: path.join(home.data, "prepared"), config });
  const test = await selfTest(within, states);
  const given = capacityOf(config, test.resources);
  const perHour = costPerHourNanos("on-result", given, priceOf(config)) * BigInt(given.vcpu);
  const strangersAllowed = sandbox.strength === "strong" || config.policy.allow_weak_sandbox;
  const { cpuScore, resources: most, diskFreeMib, drivers } = test;
  const can = (what: "boots" | "modules"): boolean =>
    drivers.some(({ name, present }) => present && isDriver(name) && DRIVERS[name].can[what]);
  const facts = {
    folder,
    cpuScore,
    given,
    most,
    diskFreeMib,
    drivers,
    sandbox,
    strangersAllowed,
    disk: config.disk,
    earnsPerHourNanosAtFullUse: perHour.toString(),
  };
  const lines = [
    () =>
      print(`machine   score ${cpuScore}, could give ${most.vcpu} vCPU, ${mib(most.memoryMib)} memory; ${mib(diskFreeMib)} free on disk`),
    () => print(`given     ${given.vcpu} vCPU, ${mib(given.memoryMib)} memory, ${mib(given.diskMib)} for files; the rest stays yours`),
    () =>
      table(
        ["driver", "present", "note"],
        drivers.map(({ name, present, reason }) => [name, present ? "yes" : "no", reason]),
      ),
    () => print(can("modules") ? sandboxLine(sandbox) : "sandbox   none here: each guest is a domain of the hypervisor's"),
    ...drivers.filter(({ present }) => present).map((driver) => () => print(heldLine(driver))),
    () => print(strangersLine(strangersAllowed, { modules: can("modules"), machines: can("boots") })),
    () => print(networkLine(config.policy)),
    () => print(diskLine(config)),
    () => print(`earning   at most ${money(perHour)} per hour when everything is rented all the time, before the broker's fee`),
    () => print(feeLine(config.policy.fee_max_basis_points)),
    () => print("nothing was listed"),
  ];
  return { facts, lines };
}

type DiskRoom = Record<"kept_gib" | "kept_customer_gib" | "inputs_gib" | "inputs_hours" | "left_free_gib", number>;
type VmRoom = Record<"image_cache_gib" | "customer_snapshots_gib", number>;

/** The most of its pay that this owner leaves to the broker: signed in every offer. */
const feeLine = (most: number | undefined): string =>
  most === undefined
    ? "fee       what the market takes or has announced (policy.fee_max_basis_points would bound it)"
    : `fee       at most ${most / 100} % of it; a market that takes more gets no lease of this machine`;

/** What customers may leave on the disk. */
function diskLine({ disk, vm }: { disk: DiskRoom; vm: VmRoom }): string {
  const { kept_gib: all, kept_customer_gib: one, inputs_gib: inputs, inputs_hours: hours, left_free_gib: free } = disk;
  const machines = `machines' images ${2 * vm.image_cache_gib} GiB, snapshots ${vm.customer_snapshots_gib} GiB`;
  const next = inputs === 0 ? "nothing of it for next leases" : `inputs for next leases at most ${inputs} GiB of it, for ${hours} h`;
  const kept = `ended leases keep at most ${all} GiB, one customer's ${one} GiB, ${next}`;
  return `disk      ${kept}; ${machines}; no new lease where less than ${free} GiB are free`;
}

const sandboxLine = ({ strength, why, without }: { strength: string; why: string; without: string }): string =>
  `sandbox   ${strength}: ${why === "" ? HELD : why}${without === "" ? ", a user id of its own" : `; ${without}`}`;
const HELD = "empty root, no network, no host processes, no capabilities, few calls of the kernel";

/** As the offer says it. */
const heldLine = ({ name, holds }: { name: string; holds: readonly string[] }): string => `held by   ${name}: ${heldText(holds)}`;

function strangersLine(allowed: boolean, { modules, machines }: { modules: boolean; machines: boolean }): string {
  if (!modules) return "strangers can run domains of their own and reach nothing else of this machine";
  if (!allowed) return "strangers are refused: the sandbox is weak (policy.allow_weak_sandbox = true would change that)";
  return `strangers can run WebAssembly in it${machines ? ", machines in boxes of their own," : ""} and reach nothing else of this machine`;
}

function networkLine({ egress, egress_ports: ports }: { egress: string; egress_ports: readonly number[] }): string {
  const where = egress === "names" ? "the names in their orders" : "public addresses";
  const guests =
    egress === "none" ? "guests have none" : `machines may reach ${where} on ports ${ports.join(", ")}, never private ones, never mail`;
  return `network   ${guests}; the daemon only connects outward to the broker`;
}
