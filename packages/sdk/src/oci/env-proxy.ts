/**
 * Which proxy the environment names for a place, as Go's programs read it (golang.org/x/net/http/httpproxy), which container engines are:
 * names in capitals before those in small letters, this machine itself never. Who controls the input: whoever sets the environment.
 */
import { BlockList, isIP } from "node:net";
import { OciError } from "./source.ts";

export interface EnvProxy {
  url: URL;
  /** Which says so. */
  variable: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };
const SCHEMES: ReadonlySet<string> = new Set(["http:", "https:"]);
const FAMILIES = { 4: "ipv4", 6: "ipv6" } as const;
const BITS = { 4: 32, 6: 128 } as const;

/** Of an address in brackets, what is within. */
export const bare = (host: string): string => host.replace(/^\[(.*)\]$/, "$1");

/** One of IPv4 may be written as one of IPv6. */
const addressIn = (text: string): string => bare(text).replace(/^::ffff:(?=\d+\.)/, "");

function named(env: Environment, ...names: string[]): [string, string] | null {
  for (const name of names) if (env[name]) return [name, env[name]];
  return null;
}

function isHere(host: string): boolean {
  return host === "localhost" || (isIP(host) === 4 && host.startsWith("127.")) || host === "::1";
}

/** Whether an address lies in a network such as 10.0.0.0/8. */
function isWithin(host: string, network: string): boolean {
  const [at = "", bits = "", ...more] = network.split("/");
  const [family, ofHost] = [isIP(at), isIP(host)];
  if (more.length > 0 || !/^\d{1,3}$/.test(bits) || (family !== 4 && family !== 6) || (ofHost !== 4 && ofHost !== 6)) return false;
  if (Number(bits) > BITS[family]) return false;
  const list = new BlockList();
  list.addSubnet(at, Number(bits), FAMILIES[family]);
  return list.check(host, FAMILIES[ofHost]);
}

/** Whether one word of NO_PROXY means that place. */
function excepts(word: string, host: string, port: string): boolean {
  if (word === "*") return true;
  if (word.includes("/")) return isWithin(host, word);
  if (isIP(bare(word)) !== 0) return addressIn(word) === addressIn(host);
  const [, name = "", ofPort = ""] = /^(.*?)(?::(\d*))?$/s.exec(word) ?? [];
  if (name === "" || (ofPort !== "" && ofPort !== port)) return false;
  if (isIP(bare(name)) !== 0) return addressIn(name) === addressIn(host);
  // with a point before it, what lies below it alone
  const domain = name.startsWith("*.") ? name.slice(1) : name;
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

function addressOf([variable, value]: [string, string]): EnvProxy {
  const text = value.includes("://") ? value : `http://${value}`;
  if (!URL.canParse(text)) throw new OciError(`${variable} is no proxy's address: write http://HOST:PORT`);
  const url = new URL(text);
  if (/%(?![0-9a-f]{2})/i.test(url.username + url.password))
    throw new OciError(`${variable} holds a login with a lone %: write %25 for it`);
  if (!SCHEMES.has(url.protocol) || url.hostname === "")
    throw new OciError(`${variable} names a proxy of a kind that is not known here (${url.protocol}//): http:// and https:// are`);
  return { url, variable };
}

/** Null where none is to be used. Throws OciError where what is named is none. */
export function proxyFor(to: URL, env: Environment = process.env): EnvProxy | null {
  const found = to.protocol === "https:" ? named(env, "HTTPS_PROXY", "https_proxy") : named(env, "HTTP_PROXY", "http_proxy");
  if (found === null) return null;
  const host = bare(to.hostname).toLowerCase();
  if (isHere(host)) return null;
  const port = to.port || (PORTS[to.protocol] ?? "");
  const [, exceptions] = named(env, "NO_PROXY", "no_proxy") ?? ["", ""];
  const words = exceptions
    .toLowerCase()
    .split(",")
    .map((word) => word.trim());
  return words.some((word) => excepts(word, host, port)) ? null : addressOf(found);
}
