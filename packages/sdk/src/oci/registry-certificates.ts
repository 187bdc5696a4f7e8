/**
 * Whom this machine's container engines trust to vouch for a registry, and what they show it of themselves: containers-certs.d(5), read as
 * podman reads it. The first folder that there is for a registry counts; the system's own authorities count besides. Who controls the
 * inputs: this machine's administrator and the customer.
 */
import { X509Certificate } from "node:crypto";
import { readFile, readdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { ifThere } from "@xenoservers/protocol/files";
import { nodeTls } from "./node-http.ts";
import { DEFAULT_HOST, DEFAULT_REGISTRY } from "./reference.ts";
import { OciError } from "./source.ts";

export interface OwnCertificate {
  cert: string;
  key: string;
}

export interface Certificates {
  /** Of authorities, the machine's own among them. */
  ca: string[];
  /** Shown to the registry alone: one of them, which it takes. */
  own: OwnCertificate[];
}

const FOLDER = "certs.d";
const isKey = (name: string): boolean => name.endsWith(".key");
const isOwn = (name: string): boolean => name.endsWith(".cert");
const stemOf = (name: string): string => name.replace(/\.[a-z]+$/, "");

/** Where they may lie, first to last. */
export const certificateFolders = (home = homedir(), system = "/etc"): string[] => [
  path.join(home, ".config/containers", FOLDER),
  path.join(system, "containers", FOLDER),
  path.join(system, "docker", FOLDER),
];

/** As folders are called. */
export const certificateName = (registry: string): string => (registry === DEFAULT_REGISTRY ? DEFAULT_HOST : registry);

/** Distributions leave links there to what is not installed: as to engines, nothing is there. */
async function leadingSomewhere(at: string, names: readonly string[]): Promise<string[]> {
  const isThere = await Promise.all(names.map((name) => ifThere(stat(path.join(at, name)))));
  return names.filter((_, i) => isThere[i] !== null);
}

/** The system's may be for its administrator alone: engines pass over what they may not look into. */
function passedOver(error: NodeJS.ErrnoException): null {
  if (error.code === "EACCES") return null;
  throw error;
}

async function folderFor(registry: string, folders: readonly string[]): Promise<{ at: string; names: string[] } | null> {
  for (const folder of folders) {
    const at = path.join(folder, certificateName(registry));
    const names = await ifThere(readdir(at)).catch(passedOver);
    if (names) return { at, names: await leadingSomewhere(at, names.sort()) };
  }
  return null;
}

/** Node 22 began without the first. */
const trusted = (): Partial<Pick<ReturnType<typeof nodeTls>, "getCACertificates" | "rootCertificates">> => nodeTls();
function usual(): readonly string[] {
  const { getCACertificates, rootCertificates } = trusted();
  return getCACertificates?.("default") ?? rootCertificates ?? [];
}
/** What the system trusts and Node by itself does not, as a firm's own authority. */
function ofSystem(): string[] {
  const before = new Set(usual());
  return [...new Set(trusted().getCACertificates?.("system"))].filter((each) => !before.has(each));
}
let system: string[] | null = null;

/** Null where nobody counts but whom Node trusts anyway. Throws OciError where what is kept is none. */
export async function certificatesFor(
  registry: string,
  folders = certificateFolders(),
  more: readonly string[] = (system ??= ofSystem()),
): Promise<Certificates | null> {
  const found = await folderFor(registry, folders);
  const kept = found ? await keptIn(found) : { ca: [], own: [] };
  if (kept.ca.length + kept.own.length + more.length === 0) return null;
  return { ca: [...usual(), ...more, ...kept.ca], own: kept.own };
}

async function keptIn({ at, names }: { at: string; names: string[] }): Promise<Certificates> {
  const read = async (name: string): Promise<string> =>
    readFile(path.join(at, name), "utf8").catch((error: Error) => {
      throw new OciError(`${path.join(at, name)} cannot be read: ${error.message}`, { cause: error });
    });
  for (const name of names.filter((each) => isKey(each) || isOwn(each))) {
    const other = `${stemOf(name)}${isKey(name) ? ".cert" : ".key"}`;
    if (!names.includes(other))
      throw new OciError(`${path.join(at, name)} has no ${other} beside it; an authority's certificate is called ca.crt`);
  }
  const authorities = await Promise.all(names.filter((name) => name.endsWith(".crt")).map(read));
  const own = await Promise.all(
    names.filter(isOwn).map(async (name) => ({ cert: await read(name), key: await read(`${stemOf(name)}.key`) })),
  );
  try {
    // Node passes over an authority that is none
    for (const each of authorities) new X509Certificate(each);
    for (const each of own) nodeTls().createSecureContext(each);
  } catch (error) {
    throw new OciError(`what lies in ${at} is no certificate and key as PEM (${(error as Error).message})`, { cause: error });
  }
  return { ca: authorities, own };
}
