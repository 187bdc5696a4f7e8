/** What `xeno serve --check` says of an owner's pool, played by its twin: what is missing, in words, and nothing changed. */
import { chmod, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Failure } from "../../../../../test/xapi/records.ts";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import type { DriverState } from "../state.ts";
import { addressRange } from "./address-range.ts";
import { checkPool } from "./check-pool.ts";
import type { PoolSettings } from "./open-pool.ts";

let at: Bench;
beforeEach(async () => {
  at = await bench();
});
afterEach(() => at.close());

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const checked = (more: Partial<PoolSettings> = {}): Promise<DriverState> => checkPool({ ...at.settings, ...more }, at.folder, soon);
const on = (network: string) => ({ network, addresses: addressRange("10.9.0.16-10.9.0.250/24")!, gateway: "10.9.0.1", dns: [], mbit: 1 });

it("says what a pool is and has where nothing is missing, and changes nothing in it", async () => {
  const before = structuredClone(["vm", "vdi", "vif", "task"].map((name) => at.twin.db.all(name as "vm")));
  const { present, reason, room } = await checked({ network: on("leases") });
  expect([present, reason]).toEqual([true, expect.stringContaining("pool pool of 2 hosts, xapi-xcp-ng-8.3.0")]);
  expect(room).toMatchObject({ vcpu: 8 });
  expect(["vm", "vdi", "vif", "task"].map((name) => at.twin.db.all(name as "vm"))).toEqual(before);
  expect(at.twin.calls.filter(({ method }) => method === "session.logout")).toHaveLength(1);
});

it.each<[what: string, settings: Partial<PoolSettings>, says: string]>([
  ["a storage that is not there", { sr: "none" }, "xapi.sr: the pool has 0 storage repositories of that uuid or name"],
  ["a network that is not there", { network: on("none") }, "xapi.network: the pool has 0 networks of that uuid or name"],
  ["images that need more than there is", { image_gib: 200 }, "no disk beside the 201 GiB that xapi.image_gib and xapi.snapshots_gib keep"],
  ["nobody at that address", { url: "https://127.0.0.1:1" }, "the pool's host 127.0.0.1 is not reached"],
  ["a password file that is not there", { password_file: "/nowhere/password" }, "/nowhere/password"],
])("says what is missing: %s", async (_, settings, says) => {
  expect(await checked(settings)).toMatchObject({ present: false, reason: expect.stringContaining(says) });
});

it("says that the log-in is refused, and that others can read the password", async () => {
  const wrong = path.join(at.folder, "wrong");
  await writeFile(wrong, "a wrong secret", { mode: 0o600 });
  expect((await checked({ password_file: wrong })).reason).toContain("the pool does not take xapi.user with that password");
  await chmod(wrong, 0o644);
  expect((await checked({ password_file: wrong })).reason).toContain("chmod 600");
});

it("says all that is missing at once: rights, a host that is not known, a storage that nobody sees", async () => {
  at.twin.refuses = (method) => (/^V(?:M.clone|DI.destroy)$/.test(method) ? new Failure("RBAC_PERMISSION_DENIED", method) : null);
  for (const [ref] of at.twin.db.all("pbd")) at.twin.db.set(ref, { currently_attached: false });
  const [known = ""] = at.twin.fingerprints;
  const { present, reason } = await checked({ fingerprints: [known] });
  expect(present).toBe(false);
  expect(reason).toContain("xapi.user may not do VM.clone, VDI.destroy: it needs the role VM Admin");
  expect(reason).toContain("127.0.0.2 shows a certificate that is not in xapi.fingerprints");
  expect(reason).toContain("no host sees the storage xeno");
});

it("takes what this server's own leases and images have for what it may use", async () => {
  const { driver } = await at.open([], { image_gib: 40 });
  const guest = await (await driver.prepare(await at.job(["sleep 3600000"]))).begin();
  const [image] = at.twin.db.all("vdi").filter(([, vdi]) => Number(vdi["physical_utilisation"]) > 0);
  const before = await checked({ image_gib: 40 });
  // an image fills what is kept for images
  at.twin.db.set(image![0], { physical_utilisation: 30 * 1024 ** 3 });
  at.twin.db.set(at.twin.sr, { physical_utilisation: 90 * 1024 ** 3 });
  expect(await checked({ image_gib: 40 })).toMatchObject({ present: false });
  at.twin.db.set(at.twin.sr, { physical_utilisation: 70 * 1024 ** 3 });
  expect([before.present, (await checked({ image_gib: 40 })).present, before.room]).toEqual([true, true, (await checked()).room]);
  await guest.stop(0);
});

it("says that a storage makes no clones, and that no host has room", async () => {
  at.twin.db.set(at.twin.sr, { allowed_operations: ["vdi_create", "vdi_destroy"] });
  expect((await checked()).reason).toContain("does not do vdi_clone, vdi_resize, vdi_snapshot now");
  at.twin.db.set(at.twin.sr, { allowed_operations: ["vdi_create", "vdi_destroy", "vdi_clone", "vdi_resize", "vdi_snapshot"] });
  for (const { ref } of at.twin.hosts) at.twin.db.set(ref, { enabled: false });
  expect((await checked()).reason).toContain("has room for a lease: no processors, no memory");
});
