import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";

/** Who may import whom (docs/architecture.md); nothing else. */
const MAY: Record<string, readonly string[]> = {
  market: [],
  engine: [],
  protocol: ["market"],
  verify: ["market", "protocol"],
  guests: ["engine", "protocol"],
  xenocorp: ["market", "protocol", "verify"],
  sdk: ["market", "protocol", "verify"],
  xenoserver: ["market", "protocol", "verify", "guests"],
  cli: ["market", "protocol", "verify", "sdk", "xenocorp", "xenoserver", "engine", "guests"],
  dashboard: ["market", "protocol", "verify", "sdk"],
  testkit: ["market", "protocol"],
};
/** The command line loads the programs only when their verb is used, so that renting needs none of them. */
const DYNAMIC_ONLY_IN_CLI = ["xenocorp", "xenoserver", "guests", "engine"];
const BY_THEMSELVES = [
  "packages/cli/src/local/ahead.ts",
  "packages/cli/src/local/local-module.ts",
  "packages/cli/src/local/local-run.ts",
  "packages/cli/src/proof/re-execute.ts",
  "packages/cli/src/proof/re-execute-vm.ts",
  "packages/cli/src/demo/stage.ts",
];

const sources = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /(?<!\.test)\.tsx?$/.test(entry.name) && !entry.parentPath.includes(".tsbuild"))
    .map((entry) => path.join(entry.parentPath, entry.name));
const importsOf = (text: string) =>
  [...text.matchAll(/(?:^|\n)\s*(?:import|export)\s+(?:type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/g)].map((match) => match[1]!);
const dynamicImportsOf = (text: string) => [...text.matchAll(/import\("([^"]+)"\)/g)].map((match) => match[1]!);

describe("imports", () => {
  it.each(Object.entries(MAY))("of %s are declared and allowed", (name, allowed) => {
    const manifest = JSON.parse(readFileSync(`packages/${name}/package.json`, "utf8")) as {
      dependencies?: Record<string, string>;
      imports?: Record<string, object>;
    };
    const declared = [...Object.keys(manifest.dependencies ?? {}), ...Object.keys(manifest.imports ?? {})];
    for (const file of sources(`packages/${name}/src`)) {
      if (file.endsWith("contract.ts")) continue; // test suites that several test files share
      const text = readFileSync(file, "utf8");
      for (const specifier of [...importsOf(text), ...dynamicImportsOf(text)]) {
        if (specifier.startsWith(".") || specifier.startsWith("node:")) continue;
        const [first, second] = specifier.split("/");
        const dependency = first!.startsWith("@") ? `${first}/${second}` : first!;
        const own = `@xenoservers/${name}`;
        if (dependency.startsWith("@xenoservers/") && dependency !== own) expect(allowed, `${file} imports ${specifier}`).toContain(second);
        if (dependency !== own) expect(declared, `${file} imports ${specifier}`).toContain(dependency);
      }
    }
  });

  it("keep the programs out of the customer's command line until they are used", () => {
    for (const file of sources("packages/cli/src")) {
      if (BY_THEMSELVES.includes(file)) continue;
      for (const specifier of importsOf(readFileSync(file, "utf8")))
        expect(
          DYNAMIC_ONLY_IN_CLI.map((name) => `@xenoservers/${name}`),
          `${file} imports ${specifier}`,
        ).not.toContain(specifier);
    }
  });

  it("keep node: out of market, engine, verify and the page", () => {
    for (const name of ["market", "engine", "verify", "dashboard"])
      for (const file of sources(`packages/${name}/src`))
        for (const specifier of importsOf(readFileSync(file, "utf8"))) expect(specifier, file).not.toMatch(/^node:/);
  });

  it("have no circles: a planted one fails the lint by that rule alone, and the same files without it pass", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "xeno-circle-"));
    try {
      copyFileSync(".oxlintrc.json", path.join(folder, ".oxlintrc.json"));
      writeFileSync(path.join(folder, "a.ts"), 'import type { B } from "./b.ts";\nexport type A = B | 1;\n');
      writeFileSync(path.join(folder, "b.ts"), 'import type { A } from "./a.ts";\nexport type B = A[];\n');
      const found = lint(folder);
      expect([...new Set(found.codes)]).toEqual(["import(no-cycle)"]);
      expect(found.exitCode).not.toBe(0);
      writeFileSync(path.join(folder, "b.ts"), "export type B = 2[];\n");
      expect(lint(folder)).toEqual({ exitCode: 0, codes: [] });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** What the project's own lint says of a folder that holds the project's own settings. */
function lint(folder: string): { exitCode: number | null; codes: string[] } {
  const { status, stdout } = spawnSync(path.resolve("node_modules/.bin/oxlint"), ["--deny-warnings", "--format=json"], {
    cwd: folder,
    encoding: "utf8",
  });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string }[] };
  return { exitCode: status, codes: diagnostics.map(({ code }) => code) };
}
