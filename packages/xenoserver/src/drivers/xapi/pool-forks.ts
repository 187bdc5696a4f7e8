/**
 * A machine that goes on from a snapshot. XAPI's own clone of a checkpoint is halted, its memory gone: so the snapshot's disks and its
 * memory are cloned, and a machine is made of them that is suspended from its first moment (XAPI 1.2xx, XCP-ng 8.1). Who controls the
 * inputs: the pool.
 */
import { z } from "zod";
import { MACHINE_FIELDS } from "./machine-fields.ts";
import { LEASE, MARK, TAG, leaseName, type Pool } from "./pool.ts";
import { NO_REF, zRefOut } from "./xapi-records.ts";

/** What a suspended machine is beside what every machine is; a pool that knows one of them not has it not. */
const OF_SUSPENDED = ["last_booted_record", "last_boot_CPU_flags", "domain_type", "NVRAM", "hardware_platform_version"] as const;
/** None that is a float: a whole one is read as a number without a point, and XAPI takes no such for it. */
const FIELDS: readonly string[] = [...Object.keys(MACHINE_FIELDS), ...OF_SUSPENDED];

const zSnapshot = z.looseObject({ suspend_VDI: z.string(), VBDs: z.array(z.string()) });
const zDrive = z.looseObject({
  ...{ VDI: z.string(), userdevice: z.string(), device: z.string(), bootable: z.boolean() },
  ...{ mode: z.enum(["RO", "RW"]), type: z.string() },
});

/** The lease's machine, suspended. What is left of it where this throws is known by its marks. */
export async function forkOf(pool: Pool, snapshot: string, lease: string, signal?: AbortSignal): Promise<string> {
  const { session, mirror, mark, sr } = pool;
  const of = await session.call(zSnapshot, "VM.get_record", snapshot);
  const cloned = async (vdi: string): Promise<string> => {
    const own = await mirror.runUntil(signal, "VDI.clone", vdi, {});
    await pool.noteDisk(own, MARK, mark);
    await pool.noteDisk(own, LEASE, lease);
    return own;
  };
  const drives: z.output<typeof zDrive>[] = [];
  for (const vbd of of.VBDs) {
    const drive = await session.call(zDrive, "VBD.get_record", vbd);
    if (drive.type === "Disk" && drive.VDI !== NO_REF) drives.push({ ...drive, VDI: await cloned(drive.VDI) });
  }
  const vm = await session.call(zRefOut, "VM.create", {
    ...Object.fromEntries(FIELDS.filter((key) => of[key] !== undefined).map((key) => [key, of[key]])),
    ...{ name_label: leaseName(lease), name_description: "", is_a_template: false, tags: [TAG] },
    ...{ power_state: "Suspended", suspend_VDI: await cloned(of.suspend_VDI), suspend_SR: sr, ha_always_run: false },
    other_config: { [MARK]: mark, [LEASE]: lease },
  });
  if ((await session.call(z.string(), "VM.get_power_state", vm)) !== "Suspended")
    throw new Error("this pool makes no suspended machines: it is older than XCP-ng 8.1, and no lease can begin with a snapshot on it");
  for (const { VDI, userdevice, device, bootable, mode } of drives) await pool.attach(vm, VDI, Number(userdevice), mode, bootable, device);
  return vm;
}
