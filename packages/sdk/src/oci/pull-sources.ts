/**
 * Where an image of that name may be had on this machine, first to last: what its container engines are told (registries-conf.ts), applied
 * as podman does. Who controls the inputs: the customer (name), this machine's administrator and the customer (settings).
 */
import { isDigest } from "./hash-like.ts";
import { DEFAULT_HOST, fullName, isShortName, parseReference, type Reference } from "./reference.ts";
import type { RegistriesConf, RegistryRule } from "./registries-conf.ts";
import { OciError } from "./source.ts";

export interface PullSource {
  reference: Reference;
  /** It may be without encryption, or with a certificate that nobody vouches for. */
  isInsecure: boolean;
  /** Its host stands in the image's name itself: settings lead nowhere. */
  isNamed: boolean;
}

/** One image that may be meant, and where it lies: mirrors before the registry itself. */
export interface Candidate {
  name: string;
  sources: PullSource[];
}

const endsThere = (name: string, at: number): boolean => at === name.length || [":", "/", "@"].includes(name.charAt(at));

/** How much of the name the prefix stands for; -1: none of it. */
function matched(name: string, prefix: string): number {
  if (!prefix.startsWith("*.")) return name.startsWith(prefix) && endsThere(name, prefix.length) ? prefix.length : -1;
  const at = name.indexOf(prefix.slice(1));
  const end = at + prefix.length - 1;
  return at > 0 && !name.slice(0, at).includes("/") && endsThere(name, end) ? end : -1;
}

function ruleFor(name: string, { rules }: RegistriesConf): RegistryRule | null {
  const [rule] = [...rules.values()].filter(({ prefix }) => matched(name, prefix) >= 0).sort((a, b) => b.prefix.length - a.prefix.length);
  return rule ?? null;
}

/** With its tag or digest, which a prefix may name too. */
const wholeName = (reference: Reference): string => `${fullName(reference)}${isDigest(reference.version) ? "@" : ":"}${reference.version}`;

/** The same image at another place. */
function moved(reference: Reference, rule: RegistryRule, location: string): Reference {
  const name = wholeName(reference);
  const to = location === "" ? name : `${location}${name.slice(matched(name, rule.prefix))}`;
  const led = isShortName(to) ? null : parseReference(to);
  if (!led) throw new OciError(`${rule.file} leads from ${name} to ${to}, which names no image`);
  return led;
}

function sourcesOf(reference: Reference, isNamed: boolean, conf: RegistriesConf): PullSource[] {
  const rule = ruleFor(wholeName(reference), conf);
  if (!rule) return [{ reference, isInsecure: false, isNamed }];
  const { blocked, file, location, insecure, mirror } = rule;
  if (blocked) throw new OciError(`${fullName(reference)} is blocked in ${file}: nothing is fetched from there`);
  const isByDigest = isDigest(reference.version);
  const mirrors = mirror.filter((each) => {
    const only = rule["mirror-by-digest-only"] ? "digest-only" : each["pull-from-mirror"];
    return only === "digest-only" ? isByDigest : only === "tag-only" ? !isByDigest : true;
  });
  const own = moved(reference, rule, location);
  return [
    ...mirrors.map((each) => ({ reference: moved(reference, rule, each.location), isInsecure: each.insecure, isNamed: false })),
    { reference: own, isInsecure: insecure, isNamed: isNamed && own.registry === reference.registry },
  ];
}

/** What a name without a registry may stand for, as whole names. */
function meantBy(text: string, { aliases, search, mode }: RegistriesConf): string[] {
  const [, name = text, version = ""] = /^([^:@]+)(.*)$/s.exec(text) ?? [];
  const alias = aliases.get(name);
  if (alias !== undefined) return [`${alias}${version}`];
  const places = search ?? [DEFAULT_HOST];
  if (places.length === 0) throw new OciError(`${name} names no registry, and settings have none to search: write HOST/${name}`);
  const meant = places.map((place) => `${place}/${text}`);
  if (mode === "enforcing" && meant.length > 1)
    throw new OciError(`${name} names no registry, and settings want one that is chosen: write ${meant.join(" or ")}`);
  return meant;
}

/** Null where it is no image's name. Throws OciError where settings forbid it, or lead nowhere. */
export function pullSources(text: string, conf: RegistriesConf): Candidate[] | null {
  if (!parseReference(text)) return null;
  const isShort = isShortName(text);
  return (isShort ? meantBy(text, conf) : [text]).map((whole) => {
    const reference = parseReference(whole);
    if (!reference) throw new OciError(`settings take ${text} for ${whole}, which is no image`);
    return { name: `${reference.registry}/${reference.repository}`, sources: sourcesOf(reference, !isShort, conf) };
  });
}
