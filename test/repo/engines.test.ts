/** Whoever has the oldest Node that the packages ask for is not told by npm that something within them asks for a newer one. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";

interface Entry {
  version?: string;
  link?: boolean;
  resolved?: string;
  dependencies?: Record<string, string>;
  engines?: { node?: string };
}
const { packages } = JSON.parse(await readFile("package-lock.json", "utf8")) as { packages: Record<string, Entry> };
/** What is installed with the command or a library, wherever it runs (scripts/pack/packages.ts). */
const PUBLISHED = ["cli", "market", "protocol", "verify", "sdk", "engine", "guests", "xenocorp", "xenoserver"];
const OLDEST = /^const NODE_MIN = "(\d+)"/m.exec(await readFile("scripts/pack/main.ts", "utf8"))?.[1] ?? "";

type Version = readonly [number, number, number];
function versionOf(text: string): Version {
  const [, major, minor = "0", patch = "0"] = /^v?(\d+)(?:\.(\d+|[x*]))?(?:\.(\d+|[x*]))?$/.exec(text) ?? [];
  if (major === undefined) throw new Error(`this test does not read '${text}'`);
  return [Number(major), Number(minor) || 0, Number(patch) || 0];
}
const isAtLeast = (one: Version, other: Version): boolean => {
  const at = one.findIndex((each, i) => each !== other[i]);
  return at < 0 || one[at]! > other[at]!;
};

/** Of the ranges that packages of the lock write. */
function takes(range: string, node: Version): boolean {
  return range.split("||").some((each) =>
    each
      .trim()
      .replaceAll(/(>=|\^|<) +/g, "$1")
      .split(/ +/)
      .every((part) => {
        const [, sign = "", text = ""] = /^(>=|\^|<)?(.*)$/.exec(part) ?? [];
        if (part === "" || part === "*") return true;
        const version = versionOf(text);
        if (sign === "<") return !isAtLeast(node, version);
        return isAtLeast(node, version) && (sign === ">=" || node[0] === version[0]);
      }),
  );
}

/** As npm lays it out: the nearest above. */
function placeOf(name: string, from: string): string {
  for (let folder = from; ; folder = folder.replace(/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+$/, "")) {
    const at = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    if (packages[at]) return packages[at].link ? (packages[at].resolved ?? "") : at;
    if (folder === "" || !folder.includes("node_modules")) break;
  }
  const top = packages[`node_modules/${name}`];
  if (!top) throw new Error(`${name}, which ${from} needs, is not in the lock`);
  return top.link ? (top.resolved ?? "") : `node_modules/${name}`;
}

function needed(): Map<string, Entry> {
  const found = new Map<string, Entry>();
  const add = (at: string): void => {
    const entry = packages[at];
    if (!entry || found.has(at)) return;
    found.set(at, entry);
    for (const name of Object.keys(entry.dependencies ?? {})) add(placeOf(name, at));
  };
  for (const name of PUBLISHED) add(`packages/${name}`);
  return found;
}

it.each([
  [">=22.12.0", false],
  ["^20.19.0 || >=22.12.0", false],
  [">= 20.12.0", true],
  ["10.* || >= 12.*", true],
  ["^22", true],
  ["^20 || ^18", false],
  [">=18 <22", false],
])("%s takes Node 22.0: %s", (range, does) => {
  expect(takes(range, [22, 0, 0])).toBe(does);
});

it("nothing that the packages need asks for a newer Node than they do", () => {
  expect(OLDEST).toBe("22");
  const all = needed();
  expect(all.size).toBeGreaterThan(80);
  const wrong = [...all].flatMap(([at, { engines }]) =>
    engines?.node === undefined || takes(engines.node, versionOf(OLDEST)) || at.startsWith("packages/") ? [] : [`${at}: ${engines.node}`],
  );
  expect(wrong).toEqual([]);
});
