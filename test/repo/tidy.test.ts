/** The house's habits as tests: short functions and lines, few casts, nothing exported for nobody, no dead link, no list of reasons or kinds beside its table. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { END_REASONS } from "@xenoservers/market";
import { KINDS } from "@xenoservers/protocol";

const LINE_MAX = 140;
const FUNCTION_LINES_MAX = 70;
/** Casts and non-null assertions together, per thousand lines. */
const CASTS_PER_THOUSAND = 5;

const packages = readdirSync("packages");
const filesBelow = (folder: string, ends: RegExp): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && ends.test(entry.name) && !/node_modules|\.tsbuild/.test(entry.parentPath))
    .map((entry) => path.join(entry.parentPath, entry.name));
const isTest = (file: string): boolean => /\.test\.ts$|contract\.ts$|fixture\.ts$|\/testing\//.test(file);
const sourcesOf = (name: string): string[] =>
  filesBelow(`packages/${name}/src`, /\.tsx?$/).filter((file) => !isTest(file) && !file.endsWith(".d.ts"));
const read = (file: string): string => readFileSync(file, "utf8");
const allSources = packages.flatMap(sourcesOf);

/** Code without comments and without the contents of strings, lines kept. */
function bare(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/(^|[^:"'`\\])\/\/[^\n]*/g, "$1")
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
}

/** Where the bracket that opens at `at` is closed. */
function closing(text: string, at: number): number {
  const opens = text[at];
  const closes = opens === "(" ? ")" : "}";
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    if (text[i] === opens) depth++;
    else if (text[i] === closes && --depth === 0) return i;
  }
  return text.length;
}

/** Length in lines of every function with a body of its own: declared, a method, or an arrow with a name. */
function longFunctions(file: string): string[] {
  const text = bare(read(file)).replace(/`(?:[^`\\]|\\.)*`/g, (literal) => literal.replace(/[^\n]/g, " "));
  const begins =
    /function\s*\*?\s*(\w+)(?:<[^>(]*>)?\(|(?:^|\n) +(?:static |async |get |set |override |private |\*)*(#?\w+)(?:<[^>(]*>)?\(|(?:const |^ +|\n +)(\w+)(?: =|:) (?:async )?(?:<[^>(]*>)?\(/g;
  return [...text.matchAll(begins)].flatMap((match) => {
    // parameters may hold braces, and so may the type of what is returned; the body's brace ends its line
    const parameters = closing(text, match.index + match[0].length - 1);
    const head = /^\)[^;]*?\{\n/.exec(text.slice(parameters, parameters + 600));
    if (!head || /\n\s*(?:const|let|return|if)\b/.test(head[0])) return [];
    const end = closing(text, parameters + head[0].length - 2);
    const lines = text.slice(match.index, end).trim().split("\n").length;
    return lines > FUNCTION_LINES_MAX ? [`${file} ${match[1] ?? match[2] ?? match[3]}: ${lines} lines`] : [];
  });
}

const castsIn = (file: string): number => {
  const text = bare(read(file));
  const casts = text.match(/\bas (?!const\b)[\w{("[]/g)?.filter((cast) => cast !== "as ") ?? [];
  const renames = text.match(/\b(?:import|export)\b[^;]*?\bas \w/g) ?? [];
  const asserted = text.match(/[\w)\]]!(?=[.,;)\]\s[(])(?!=)/g) ?? [];
  return casts.length - renames.length + asserted.length;
};

describe("tidy", () => {
  it(`has no line over ${LINE_MAX} characters`, () => {
    const long = allSources.flatMap((file) =>
      read(file)
        .split("\n")
        .flatMap((line, i) => (line.length > LINE_MAX ? [`${file}:${i + 1}`] : [])),
    );
    expect(long).toEqual([]);
  });

  it(`has no function over ${FUNCTION_LINES_MAX} lines`, () => {
    expect(allSources.flatMap(longFunctions)).toEqual([]);
  });

  it.each(packages.filter((name) => name !== "engine"))("lets types say it: few casts in %s", (name) => {
    const files = sourcesOf(name);
    const lines = files.reduce((sum, file) => sum + read(file).split("\n").length, 0);
    const casts = files.map((file) => ({ file, count: castsIn(file) })).filter(({ count }) => count > 0);
    const all = casts.reduce((sum, { count }) => sum + count, 0);
    const worst = casts.toSorted((a, b) => b.count - a.count).slice(0, 8);
    expect((all * 1_000) / lines, JSON.stringify(worst)).toBeLessThanOrEqual(CASTS_PER_THOUSAND);
  });

  it("exports nothing that nobody uses", () => {
    const users = [...allSources, ...["packages", "test", "bench", "scripts"].flatMap((folder) => filesBelow(folder, /\.tsx?$/))];
    const texts = new Map([...new Set(users)].map((file) => [file, read(file)]));
    const dead = allSources.flatMap((file) =>
      [...read(file).matchAll(/^export (?:declare )?(?:async )?(?:const|let|function\*?|class|interface|type) (\w+)/gm)].flatMap(
        ([, name = ""]) => {
          const word = new RegExp(`\\b${name}\\b`);
          const elsewhere = [...texts].some(([other, text]) => other !== file && !other.endsWith("/index.ts") && word.test(text));
          return elsewhere ? [] : [`${file}: ${name}`];
        },
      ),
    );
    expect(dead).toEqual([]);
  });

  it("has no dead link in its documents", () => {
    const documents = [
      ...filesBelow("docs", /\.md$/),
      "README.md",
      "CONTRIBUTING.md",
      "CHANGELOG.md",
      ...packages.map((name) => `packages/${name}/README.md`),
    ];
    const dead = documents.flatMap((file) =>
      [...read(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].flatMap(([, target = ""]) =>
        /^[a-z]+:/.test(target) || existsSync(path.join(path.dirname(file), target)) ? [] : [`${file}: ${target}`],
      ),
    );
    expect(dead).toEqual([]);
  });

  it("names no file in its documents that is not there", () => {
    const documents = [...filesBelow("docs", /\.md$/), "README.md", "CONTRIBUTING.md"];
    const files = ["packages", "test", "bench", "scripts"].flatMap((folder) => filesBelow(folder, /\.tsx?$/));
    const missing = documents.flatMap((document) =>
      [...read(document).matchAll(/`([\w./-]+\.tsx?)`/g)].flatMap(([, name = ""]) =>
        files.some((file) => file === name || file.endsWith(`/${name}`)) ? [] : [`${document}: ${name}`],
      ),
    );
    expect(missing).toEqual([]);
  });

  it("lists end reasons and kinds of documents in their tables only", () => {
    const tables = [
      "packages/market/src/lease/terms.ts",
      "packages/market/src/lease/facts.ts",
      "packages/protocol/src/documents",
      "packages/verify/src/facts",
    ];
    const listing = (words: readonly string[], text: string): boolean =>
      [...text.matchAll(/\[((?:\s*"[a-z-]+",?){3,}\s*)\]/g)].some(
        ([, inside = ""]) => [...inside.matchAll(/"([a-z-]+)"/g)].filter(([, word = ""]) => words.includes(word)).length >= 3,
      );
    const independent = ["packages/testkit/src/auditor.ts"];
    const lists = allSources
      .filter((file) => !tables.some((table) => file.startsWith(table)) && !independent.includes(file))
      .filter((file) => listing(END_REASONS, read(file)) || listing(KINDS, read(file)));
    expect(lists).toEqual([]);
  });

  it("says in ten lines what each package is", () => {
    for (const name of packages) {
      const file = `packages/${name}/README.md`;
      expect(existsSync(file), file).toBe(true);
      expect(read(file).split("\n").length, file).toBeLessThanOrEqual(16);
    }
  });
});
