/**
 * Where the logins of this machine's container engines are: podman's and docker's files, in podman's order (containers-auth.json(5)), and
 * the helpers that they name. The most specific key wins: HOST/NAMESPACE/NAME before HOST. No secret leaves this file but to who asked for
 * it, and none stands in an error. Who controls the inputs: the customer's own files; the names of keys: whoever chose the image.
 */
import { homedir } from "node:os";
import path from "node:path";
import { readIfThere } from "@xenoservers/protocol/files";
import type { Timers } from "@xenoservers/protocol/link";
import * as z from "zod/mini";
import type { Login } from "./login.ts";
import { askHelper } from "./login-helper.ts";
import type { PullSource } from "./pull-sources.ts";
import { DEFAULT_HOST, DEFAULT_REGISTRY, type Reference } from "./reference.ts";
import { OciError } from "./source.ts";

export interface FoundLogin {
  login: Login | null;
  /** Of the environment: it is for the places that are named with it. Null where the login is of a file, as that file has it. */
  own: { mayBeShownTo(host: string): boolean; notShown(host: string): void } | null;
  /** What could not be asked, in words: it matters only where nobody is let in. */
  troubles: string[];
}

/** How people and engines call the one registry that has no name in images' names. */
const DEFAULT_NAMES: ReadonlySet<string> = new Set([DEFAULT_HOST, "index.docker.io", DEFAULT_REGISTRY]);
const DEFAULT_ADDRESS = "https://index.docker.io/v1/";

const zEntry = z.object({
  auth: z.nullish(z.string()),
  username: z.nullish(z.string()),
  password: z.nullish(z.string()),
  identitytoken: z.nullish(z.string()),
});
const zLogins = z.object({
  auths: z.catch(z.nullish(z.record(z.string(), z.catch(z.nullable(zEntry), null))), null),
  credsStore: z.catch(z.nullish(z.string()), null),
  credHelpers: z.catch(z.nullish(z.record(z.string(), z.string())), null),
});
type Logins = z.infer<typeof zLogins>;

/** The files that are looked into, first to last. */
function loginFiles(env: NodeJS.ProcessEnv): string[] {
  const named = env["REGISTRY_AUTH_FILE"];
  if (named !== undefined && named !== "") return [named]; // and no other, as with podman
  const home = env["HOME"] ?? homedir();
  const run = env["XDG_RUNTIME_DIR"] ?? `/run/containers/${process.getuid?.() ?? 0}`;
  return [
    path.join(run, "containers", "auth.json"),
    ...(env["XDG_RUNTIME_DIR"] === undefined ? [path.join(run, "auth.json")] : []),
    path.join(env["XDG_CONFIG_HOME"] ?? path.join(home, ".config"), "containers", "auth.json"),
    path.join(env["DOCKER_CONFIG"] ?? path.join(home, ".docker"), "config.json"),
  ];
}

/** A key of a file as HOST or HOST/PATH: docker writes addresses of old interfaces, with a scheme and a version. */
function placeOf(key: string): string {
  const bare = key.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const [host = "", ...rest] = bare.split("/");
  const isAddress = bare !== key.replace(/\/+$/, "") || /^v[12]$/.test(rest[0] ?? "");
  const known = DEFAULT_NAMES.has(host) ? DEFAULT_HOST : host;
  return isAddress || rest.length === 0 ? known : `${known}/${rest.join("/")}`;
}

/** The places that a login may be kept for, most specific first. */
export function placesOf({ registry, repository }: Pick<Reference, "registry" | "repository">): string[] {
  const host = registry === DEFAULT_REGISTRY ? DEFAULT_HOST : registry;
  const parts = repository.split("/");
  return [...parts.map((_, i) => [host, ...parts.slice(0, parts.length - i)].join("/")), host];
}

/** By docker's rules: what follows the name's colon is the password, and nothing after a zero byte. */
function decoded(auth: string): Login | null {
  const text = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = text.indexOf(":");
  return colon <= 0 ? null : { kind: "password", user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function loginIn(entry: z.infer<typeof zEntry> | null, file: string, place: string): Login | null {
  if (entry?.identitytoken) return { kind: "token", token: entry.identitytoken };
  if (entry?.auth) {
    const login = decoded(entry.auth);
    if (!login) throw new OciError(`the login for ${place} in ${file} is damaged: log in anew`);
    return login;
  }
  const { username, password } = entry ?? {};
  return username && password ? { kind: "password", user: username, password } : null;
}

const under = <T>(table: Record<string, T> | null | undefined, place: string): T | undefined =>
  Object.entries(table ?? {}).find(([key]) => placeOf(key) === place)?.[1];

interface Looker {
  timers: Timers;
  env: NodeJS.ProcessEnv;
  troubles: string[];
}

/** As docker and podman look: for each place a helper of its own and the file itself, then the helper for all of them. */
async function loginFrom(logins: Logins, file: string, places: readonly string[], looker: Looker): Promise<Login | null> {
  const { timers, env, troubles } = looker;
  const fromHelper = (name: string, place: string): Promise<Login | null> =>
    askHelper(name, place === DEFAULT_HOST ? DEFAULT_ADDRESS : place, timers, env).catch((error: Error) => {
      troubles.push(`${error.message} (named in ${file})`);
      return null;
    });
  const host = places.at(-1) ?? "";
  for (const place of places) {
    const own = under(logins.credHelpers, place);
    const found = (own === undefined ? null : await fromHelper(own, place)) ?? loginIn(under(logins.auths, place) ?? null, file, place);
    if (found) return found;
  }
  return logins.credsStore ? fromHelper(logins.credsStore, host) : null;
}

async function readLogins(file: string): Promise<Logins | null> {
  const text = await readIfThere(file);
  if (text === null || text.trim() === "") return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new OciError(`${file} is not JSON`);
  }
  const logins = zLogins.safeParse(value);
  if (!logins.success) throw new OciError(`${file} is no file of logins`);
  return logins.data;
}

/** Where Docker Hub has people log in. */
const DEFAULT_LOGIN = "auth.docker.io";

/**
 * That of the environment, for the registry that XENO_REGISTRY names, or where that is not set the one that stands in the image's own
 * name: settings, mirrors and what registries say lead it nowhere. After the registry, XENO_REGISTRY may name where it has people log in.
 */
function ownLogin({ reference: { registry }, isNamed }: PullSource, troubles: string[], env: NodeJS.ProcessEnv): FoundLogin | null {
  const { XENO_REGISTRY: named = "", XENO_REGISTRY_USER: user, XENO_REGISTRY_PASSWORD: password } = env;
  if (user === undefined || password === undefined) return null;
  const [first, ...others] = named.split(",").map((each) => placeOf(each.trim()));
  const isFor = named === "" ? isNamed : first === placeOf(registry);
  if (!isFor) {
    troubles.push(`XENO_REGISTRY_PASSWORD is for ${named === "" ? "the registry in an image's name" : first}, and was not shown`);
    return null;
  }
  const places = new Set([registry, ...others, ...(registry === DEFAULT_REGISTRY ? [DEFAULT_LOGIN] : [])]);
  const own = {
    mayBeShownTo: (host: string): boolean => places.has(host),
    notShown(host: string): void {
      const set = `XENO_REGISTRY=${registry},${host}`;
      troubles.push(`it has people log in at ${host}: for XENO_REGISTRY_PASSWORD to be shown there, set ${set}`);
    },
  };
  return { login: { kind: "password", user, password }, own, troubles };
}

/** Throws OciError where a file is damaged. */
export async function loginFor(source: PullSource, timers: Timers, env = process.env): Promise<FoundLogin> {
  const troubles: string[] = [];
  const own = ownLogin(source, troubles, env);
  if (own) return own;
  const { reference } = source;
  const places = placesOf(reference);
  for (const file of loginFiles(env)) {
    const logins = await readLogins(file).catch((error: unknown) => {
      if (error instanceof OciError) throw error;
      troubles.push(`${file} cannot be read`);
      return null;
    });
    const login = logins && (await loginFrom(logins, file, places, { timers, env, troubles }));
    if (login) return { login, own: null, troubles };
  }
  return { login: null, own: null, troubles };
}
