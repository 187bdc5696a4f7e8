/**
 * What this machine's container engines are told of registries: containers-registries.conf(5), version 2, read as podman reads it. A file
 * of the user's goes before the system's, files in `registries.conf.d` come after, in the order of their names, the user's last. Who
 * controls the inputs: this machine's administrator and the customer.
 */
import { homedir } from "node:os";
import path from "node:path";
import { namesIn, readIfThere } from "@xenoservers/protocol/files";
import { parseSettings } from "@xenoservers/protocol/settings-file";
import * as z from "zod/mini";
import { OciError } from "./source.ts";

const zMirror = z.object({
  location: z.string().check(z.minLength(1)),
  insecure: z._default(z.boolean(), false),
  "pull-from-mirror": z._default(z.enum(["", "all", "digest-only", "tag-only"]), "all"),
});
const zRegistry = z.object({
  prefix: z._default(z.string(), ""),
  location: z._default(z.string(), ""),
  insecure: z._default(z.boolean(), false),
  blocked: z._default(z.boolean(), false),
  "mirror-by-digest-only": z._default(z.boolean(), false),
  mirror: z._default(z.array(zMirror), []),
});
const zFile = z.object({
  "unqualified-search-registries": z.optional(z.array(z.string().check(z.minLength(1)))),
  "short-name-mode": z.optional(z.enum(["enforcing", "permissive", "disabled"])),
  registry: z._default(z.array(zRegistry), []),
  aliases: z._default(z.record(z.string(), z.string()), {}),
  registries: z.optional(z.undefined("the first form of this file, which engines have given up: see containers-registries.conf(5)")),
});
const zAliases = z.object({ aliases: z._default(z.record(z.string(), z.string()), {}) });

export interface RegistryRule extends z.infer<typeof zRegistry> {
  /** The file that says so. */
  file: string;
}

export interface RegistriesConf {
  /** Null where no file names any. */
  search: readonly string[] | null;
  mode: "enforcing" | "permissive" | "disabled";
  /** Short names by what they stand for. */
  aliases: ReadonlyMap<string, string>;
  /** By prefix. */
  rules: ReadonlyMap<string, RegistryRule>;
}

const VARIABLE = "CONTAINERS_REGISTRIES_CONF";
const SYSTEM = "/etc/containers";
const FOLDER = "registries.conf.d";

async function inFolder(folder: string): Promise<string[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(".conf"));
  return names.sort().map((name) => path.join(folder, name));
}

/** The files that count, first to last: what comes later goes before what came earlier. */
async function confFiles(env: NodeJS.ProcessEnv, system: string): Promise<string[]> {
  const own = path.join(env["HOME"] ?? homedir(), ".config", "containers");
  const [usersFile, users] = [path.join(own, "registries.conf"), await inFolder(path.join(own, FOLDER))];
  const named = env[VARIABLE];
  if ((named ?? "") === "" && (await readIfThere(usersFile)) !== null) return [usersFile, ...users]; // and nothing of the system's
  const first = named === undefined || named === "" ? path.join(system, "registries.conf") : named;
  return [first, ...(await inFolder(path.join(system, FOLDER))), ...users];
}

function parsed<T>(schema: z.ZodMiniType<T>, text: string, file: string): T {
  try {
    return parseSettings(schema, [], text, file);
  } catch (cause) {
    throw new OciError(cause instanceof Error ? cause.message : `${file} makes no sense`, { cause });
  }
}

/** As podman writes both: without a slash at the end, and the one from the other. */
function ruleOf(entry: z.infer<typeof zRegistry>, file: string): RegistryRule {
  const bare = (text: string): string => text.replace(/\/+$/, "");
  const [prefix, location] = [bare(entry.prefix), bare(entry.location)];
  const isWild = prefix.startsWith("*.");
  if (prefix === "" && location === "") throw new OciError(`${file}: a registry has neither a prefix nor a location`);
  if (/^[a-z]+:\/\//.test(location) || /^[a-z]+:\/\//.test(prefix))
    throw new OciError(`${file}: ${location || prefix} is an address: write HOST/PATH`);
  return { ...entry, file, prefix: prefix || location, location: location || (isWild ? "" : prefix) };
}

/** `system`: where the system's files lie. Throws OciError where a file makes no sense. */
export async function readRegistriesConf(env = process.env, system = SYSTEM): Promise<RegistriesConf> {
  const aliases = new Map<string, string>();
  const rules = new Map<string, RegistryRule>();
  let search: readonly string[] | null = null;
  let mode: RegistriesConf["mode"] = "permissive";
  const files = await confFiles(env, system);
  for (const [i, file] of files.entries()) {
    const text = await readIfThere(file);
    if (text === null && i === 0 && file === env[VARIABLE]) throw new OciError(`there is no file ${file}, which ${VARIABLE} names`);
    if (text === null) continue;
    const read = parsed(zFile, text, file);
    search = read["unqualified-search-registries"] ?? search;
    mode = read["short-name-mode"] ?? mode;
    for (const entry of read.registry) {
      const rule = ruleOf(entry, file);
      rules.set(rule.prefix, rule);
    }
    setAliases(aliases, read.aliases);
  }
  const learned = path.join(
    env["XDG_CACHE_HOME"] ?? path.join(env["HOME"] ?? homedir(), ".cache"),
    "containers",
    "short-name-aliases.conf",
  );
  const text = await readIfThere(learned);
  if (text !== null) setAliases(aliases, parsed(zAliases, text, learned).aliases);
  return { search, mode, aliases, rules };
}

/** Without anything behind it, a name is no alias any more. */
function setAliases(aliases: Map<string, string>, more: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(more))
    if (value === "") aliases.delete(name);
    else aliases.set(name, value);
}
