/** The calls of XAPI that the driver makes, over the twin's database, with XAPI's own errors and rules. */
import { copies } from "./copies.ts";
import { power } from "./power.ts";
import { Failure, type ClassName, type Fields, type Records } from "./records.ts";
import { refs, type Call, type World } from "./world.ts";

const CLASS_NAMES: Record<string, ClassName> = {
  VM: "vm",
  VDI: "vdi",
  VBD: "vbd",
  VIF: "vif",
  SR: "sr",
  pool: "pool",
  host: "host",
  message: "message",
};

const config = (fields: Fields): Record<string, string> => fields["other_config"] as Record<string, string>;

const notes = ({ db }: World, name: "VM" | "VDI"): Record<string, Call> => ({
  [`${name}.add_to_other_config`]: (ref: string, key: string, value: string) => {
    if (Object.hasOwn(config(db.get(ref)), key)) throw new Failure("MAP_DUPLICATE_KEY", name, "other_config", ref, key);
    db.set(ref, { other_config: { ...config(db.get(ref)), [key]: value } });
  },
  [`${name}.remove_from_other_config`]: (ref: string, key: string) => {
    const { [key]: _, ...rest } = config(db.get(ref));
    db.set(ref, { other_config: rest });
  },
});

const fields = ({ db }: World): Record<string, Call> => ({
  "VM.add_tags": (vm: string, tag: string) => db.set(vm, { tags: [...refs(db.get(vm), "tags"), tag] }),
  "VM.remove_from_blocked_operations": (vm: string, operation: string) => {
    const { [operation]: _, ...rest } = db.get(vm, "vm")["blocked_operations"] as Record<string, string>;
    db.set(vm, { blocked_operations: rest });
  },
  "VM.set_memory_limits": (vm: string, min: number, max: number) => db.set(vm, { memory_static_min: min, memory_static_max: max }),
  "message.get": (cls: string, uuid: string) =>
    Object.fromEntries(db.all("message").filter(([, message]) => message["cls"] === cls && message["obj_uuid"] === uuid)),
});

/** Getters and setters of fields, as XAPI makes them for each. */
function accessor(db: Records, method: string): Call | null {
  const [, name = "", what = ""] = /^(\w+)\.(\w+)$/.exec(method) ?? [];
  const known = CLASS_NAMES[name];
  if (known === undefined) return null;
  if (what === "get_all") return () => db.all(known).map(([ref]) => ref);
  if (what === "get_all_records") return () => Object.fromEntries(db.all(known));
  if (what === "get_record") return (ref: string) => db.get(ref, known);
  if (what.startsWith("get_")) return (ref: string) => db.get(ref, known)[what.slice(4)];
  if (what.startsWith("set_"))
    return (ref: string, value: unknown) => {
      db.get(ref, known);
      db.set(ref, { [what.slice(4)]: value });
    };
  return null;
}

export function callsOf(world: World): (method: string, params: readonly unknown[]) => unknown {
  const own: Record<string, Call> = { ...power(world), ...copies(world), ...notes(world, "VM"), ...notes(world, "VDI"), ...fields(world) };
  return (method, params) => {
    const call = own[method] ?? accessor(world.db, method);
    if (!call) throw new Failure("MESSAGE_METHOD_UNKNOWN", method);
    const result = call(...(params as never[]));
    return result === undefined ? "" : structuredClone(result);
  };
}
