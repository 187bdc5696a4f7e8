/** What is read of XAPI's objects: their fields by its own names. Who controls the inputs: the pool. */
import { z } from "zod";

/** 64-bit numbers travel as numbers or as text, by version. */
const zInt = z.union([
  z.number(),
  z
    .string()
    .regex(/^-?\d+$/)
    .transform(Number),
]);
const zRef = z.string();
const zMap = z.record(z.string(), z.string());

export const zReply = z.object({
  result: z.unknown().optional(),
  error: z.object({ message: z.string(), data: z.array(z.string()).catch([]) }).optional(),
});

export const NO_REF = "OpaqueRef:NULL";

const zVm = z.object({
  uuid: z.string(),
  name_label: z.string(),
  power_state: z.enum(["Halted", "Paused", "Running", "Suspended"]),
  is_a_template: z.boolean(),
  is_a_snapshot: z.boolean(),
  is_control_domain: z.boolean(),
  resident_on: zRef,
  memory_static_max: zInt,
  memory_overhead: zInt.catch(0),
  suspend_VDI: zRef.catch(NO_REF),
  other_config: zMap,
  allowed_operations: z.array(z.string()).catch([]),
  consoles: z.array(zRef),
  VBDs: z.array(zRef),
});
const zHost = z.object({
  uuid: z.string(),
  name_label: z.string(),
  address: z.string(),
  enabled: z.boolean(),
  metrics: zRef,
  cpu_info: zMap,
  software_version: zMap,
  other_config: zMap.catch({}),
});
const zHostMetrics = z.object({ live: z.boolean(), memory_total: zInt, memory_free: zInt });
const zSr = z.object({
  uuid: z.string(),
  name_label: z.string(),
  physical_size: zInt,
  physical_utilisation: zInt,
  allowed_operations: z.array(z.string()).catch([]),
});
const zPool = z.object({ uuid: z.string(), name_label: z.string(), master: zRef });
const zVdi = z.object({
  uuid: z.string(),
  name_label: z.string(),
  SR: zRef,
  virtual_size: zInt,
  physical_utilisation: zInt,
  other_config: zMap,
  VBDs: z.array(zRef),
});
const zVbd = z.object({ VM: zRef, VDI: zRef, userdevice: z.string() });
/** Where a host sees a storage. */
const zPbd = z.object({ host: zRef, SR: zRef, currently_attached: z.boolean() });
const zNetwork = z.object({ uuid: z.string(), name_label: z.string() });
const zVif = z.object({ VM: zRef, network: zRef, ipv4_allowed: z.array(z.string()) });
const zTask = z.object({ status: z.string(), result: z.string(), error_info: z.array(z.string()) });
const zConsole = z.object({ protocol: z.string(), location: z.string(), VM: zRef });

export const RECORDS = {
  vm: zVm,
  host: zHost,
  host_metrics: zHostMetrics,
  sr: zSr,
  pool: zPool,
  vdi: zVdi,
  vbd: zVbd,
  pbd: zPbd,
  network: zNetwork,
  vif: zVif,
  task: zTask,
  console: zConsole,
} as const;
export type Class = keyof typeof RECORDS;
export const CLASSES = Object.keys(RECORDS);
export const isClass = (name: string): name is Class => Object.hasOwn(RECORDS, name);
export type RecordOf<C extends Class> = z.infer<(typeof RECORDS)[C]>;
export type Vm = RecordOf<"vm">;

export const zEvents = z.object({
  token: z.string(),
  events: z.array(z.object({ class: z.string(), operation: z.string(), ref: zRef, snapshot: z.unknown().optional() })),
});
/** Messages about a machine, by their names alone. */
export const zStarts = z.record(z.string(), z.object({ name: z.string() }));
export const zRefOut = zRef;
export const zIntOut = zInt;
/** Of all objects of a class those that can be read: one that nobody understands hides no other. */
export const recordsOf = <C extends Class>(name: C, answer: unknown): [ref: string, record: RecordOf<C>][] =>
  Object.entries(z.record(z.string(), z.unknown()).parse(answer)).flatMap(([ref, fields]) => {
    const record = RECORDS[name].safeParse(fields);
    return record.success ? [[ref, record.data as RecordOf<C>] as [string, RecordOf<C>]] : [];
  });
export const zNothing = z.unknown();
