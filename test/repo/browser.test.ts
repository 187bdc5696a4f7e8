/** What a page loads of the libraries knows nothing of Node: no module of it, no global of it, no package that needs it. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

type Entry = string | Readonly<Record<string, string>>;
interface Manifest {
  exports: Readonly<Record<string, Entry>>;
  imports?: Readonly<Record<string, Entry>>;
}

/** Others' packages that run in a page as they are; the bundle of test/pack holds all of them. */
const FOR_PAGES = ["zod", "@hpke/core", "@noble/hashes", "@noble/curves", "@noble/ciphers"];
const ENTRIES = [
  "market",
  "protocol",
  "protocol/channel",
  "protocol/hashes",
  "protocol/link",
  "protocol/sealed",
  "protocol/system",
  "protocol/websocket",
  "verify",
  "sdk",
];

const manifestOf = (name: string): Manifest => JSON.parse(readFileSync(`packages/${name}/package.json`, "utf8")) as Manifest;
const inBrowser = (entry: Entry): string => (typeof entry === "string" ? entry : (entry["browser"] ?? ""));

/** The file of a package of ours, by the conditions of a browser's bundler. */
function fileOf(specifier: string): string {
  const [name = "", ...rest] = specifier.replace("@xenoservers/", "").split("/");
  const entry = manifestOf(name).exports[rest.length === 0 ? "." : `./${rest.join("/")}`];
  if (entry === undefined) throw new Error(`${specifier} is not exported`);
  return path.join("packages", name, inBrowser(entry));
}

/** Of code that runs: types leave nothing behind. */
const importsOf = (text: string): string[] =>
  [...text.matchAll(/(?:^|\n)(?:import|export)\s+(?!type\s)(?:[^"';]*?\sfrom\s+)?"([^"]+)"/g)].map((match) => match[1]!);

function resolved(from: string, specifier: string): string | null {
  if (specifier.startsWith(".")) return path.join(path.dirname(from), specifier);
  if (specifier.startsWith("@xenoservers/")) return fileOf(specifier);
  if (!specifier.startsWith("#")) return null;
  const name = from.split("/")[1]!;
  return path.join("packages", name, inBrowser(manifestOf(name).imports![specifier]!));
}

/** All that is loaded with these entries, and whose it is besides ours. */
function loaded(entries: readonly string[]): { files: string[]; others: Map<string, string> } {
  const files = new Set<string>();
  const others = new Map<string, string>();
  const open = entries.map(fileOf);
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const specifier of importsOf(readFileSync(file, "utf8"))) {
      const next = resolved(file, specifier);
      if (next !== null) open.push(next);
      else others.set(specifier, file);
    }
  }
  return { files: [...files], others };
}

it("loads no module of Node's, and of others' packages those alone that run there", () => {
  const { files, others } = loaded(ENTRIES);
  expect(files.length).toBeGreaterThan(80);
  expect(files).toContain("packages/protocol/src/system/web.ts");
  const strange = [...others].filter(([specifier]) => !FOR_PAGES.some((name) => specifier === name || specifier.startsWith(`${name}/`)));
  expect(strange).toEqual([]);
});

it("uses no global that a page has not", () => {
  const { files } = loaded(ENTRIES);
  const used = files.flatMap((file) => {
    const bare = readFileSync(file, "utf8")
      .replaceAll(/\/\*[\s\S]*?\*\/|(?<=\s)\/\/.*/g, "")
      .replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
    return [...bare.matchAll(/(?<![.\w#])(Buffer|process|setImmediate|__dirname|require)\b(?!:)/g)].map(([name]) => `${file}: ${name}`);
  });
  expect(used).toEqual([]);
});

it("has zod as functions alone, which a bundler leaves out one by one, and its words in one language of fifty", () => {
  const { files } = loaded(ENTRIES);
  const named = files.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/import ([^;]+) from "(zod[^"]*)"/g)].map(([, what, from]) => ({ file, what, from })),
  );
  const words = "packages/protocol/src/schema-words.ts";
  expect(named.filter(({ file, what, from }) => file !== words && !(what === "* as z" && from === "zod/mini"))).toEqual([
    { file: "packages/protocol/src/documents/table.ts", what: "type * as z", from: "zod/mini" },
  ]);
  expect(named.filter(({ file }) => file === words).map(({ from }) => from)).toEqual(["zod/mini", "zod/v4/locales/en.js"]);
});
