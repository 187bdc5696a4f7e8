import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CONFIG_KEYS, type ServerConfig } from "./config-schema.ts";
import { readServerConfig } from "./config.ts";
import { planReread } from "./reread.ts";
import { isDrained, keepDrained } from "./standing.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-reread-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function config(toml: string): Promise<ServerConfig> {
  const file = path.join(folder, "xenoserver.toml");
  await writeFile(file, toml);
  return readServerConfig(file);
}

/** Another value than the default for every key that there is. */
const OTHER: Readonly<Record<string, string>> = {
  "price.fuel_hour": "1",
  "price.vcpu_hour": "1",
  "price.memory_gib_hour": "1",
  "price.disk_gib_hour": "1",
  "price.egress_gib": "1",
  "capacity.vcpu": "1",
  "capacity.memory": '"1G"',
  "capacity.disk": '"1G"',
  "policy.allowed_parties": `["p_${"0".repeat(40)}"]`,
  "policy.max_lease_hours": "1",
  "policy.hours": '"08:00-20:00"',
  "policy.time_zone": '"Europe/Berlin"',
  "policy.allow_weak_sandbox": "true",
  "policy.fee_max_basis_points": "100",
  "policy.egress": '"names"',
  "policy.egress_ports": "[443]",
  "policy.egress_allow": '["10.1.2.3/32"]',
  "policy.egress_gib_month": "1",
  "policy.egress_mbit": "1",
  "policy.fetch_images": "true",
  "vm.enabled": "false",
  "vm.disk_iops": "100",
  "vm.image_cache_gib": "1",
  "vm.snapshots": "1",
  "vm.customer_snapshots_gib": "1",
  "vm.customer_snapshots_hours": "1",
  "xen.enabled": "false",
  "xen.guests": '"pv"',
  "xapi.url": '"https://10.0.0.2"',
  "xapi.user": '"xeno"',
  "xapi.password_file": '"/etc/xeno/pool"',
  "xapi.fingerprints": `["${"ab".repeat(32)}"]`,
  "xapi.sr": '"local"',
  "xapi.boot": '"pv"',
  "xapi.image_gib": "1",
  "xapi.snapshots_gib": "1",
  "xapi.snapshots_hours": "1",
  "xapi.network": '"leases"',
  "xapi.network_addresses": '"10.9.0.16-10.9.0.250/24"',
  "xapi.network_gateway": '"10.9.0.1"',
  "xapi.network_dns": '["10.9.0.53"]',
  "move.listen": '"10.0.0.5:4433"',
  "disk.kept_gib": "6",
  "disk.kept_customer_gib": "1",
  "disk.inputs_gib": "3",
  "disk.inputs_hours": "4",
  "disk.left_free_gib": "2",
  "labels.region": '"eu"',
  pool: "3",
  warm: "3",
  drain_seconds: "1",
};
const LATER = new Set([
  ...["pool", "warm", "policy.egress_ports", "policy.egress_allow", "policy.egress_gib_month", "policy.egress_mbit", "policy.fetch_images"],
  ...["vm.enabled", "vm.disk_iops", "vm.image_cache_gib", "vm.snapshots", "vm.customer_snapshots_gib", "vm.customer_snapshots_hours"],
  ...["xen.enabled", "xen.guests", "move.listen"],
  ...CONFIG_KEYS.filter((key) => key.startsWith("xapi.")),
]);

/** What a key needs beside it. */
const WITH: Readonly<Record<string, string>> = {
  "xapi.url": `password_file = "/etc/xeno/pool"\nsr = "local"\nfingerprints = ["${"ab".repeat(32)}"]\n`,
};

it("knows of every key whether it takes effect at once or at the next start, and names it", async () => {
  const sections = new Set(CONFIG_KEYS.filter((key) => key.includes(".")).map((key) => key.split(".")[0]!));
  expect(
    Object.keys(OTHER)
      .filter((key) => key !== "labels.region")
      .toSorted(),
  ).toEqual(CONFIG_KEYS.filter((key) => !sections.has(key) && key !== "labels").toSorted());
  for (const [key, value] of Object.entries(OTHER)) {
    const [section, name] = key.split(".");
    const beside = WITH[key] ?? "";
    const before = await config(beside === "" ? "" : `[${section}]\n${beside}`);
    const after = await config(name ? `[${section}]\n${beside}${name} = ${value}\n` : `${key} = ${value}\n`);
    const { config: now, changed, later } = planReread(before, after);
    const isLater = LATER.has(key);
    expect([key, changed, later]).toEqual([key, isLater ? [] : [key], isLater ? [key] : []]);
    expect(now).toEqual(isLater ? before : after);
  }
  const before = await config("");
  expect(planReread(before, before)).toEqual({ config: before, changed: [], later: [] });
});

it("keeps that a machine is drained, and takes a file that it cannot read for that", async () => {
  expect(await isDrained(folder)).toBe(false);
  await keepDrained(folder, true);
  expect(await isDrained(folder)).toBe(true);
  await keepDrained(folder, false);
  expect(await isDrained(folder)).toBe(false);
  await writeFile(path.join(folder, "standing.json"), "{");
  expect(await isDrained(folder)).toBe(true);
});
