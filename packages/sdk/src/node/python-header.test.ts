import { expect, it } from "vitest";
import { bytesBlob, type SourceEntry } from "../blob.ts";
import { assertBrought, dependenciesOf } from "./python-header.ts";

const head = (...lines: string[]): string =>
  `#!/usr/bin/env python\n${["/// script", ...lines, "///"].map((line) => `# ${line}\n`).join("")}x = 1\n`;

it.each([
  ["x = 1\n", []],
  [head('requires-python = ">=3.11"'), []],
  [head("dependencies = []"), []],
  [head('dependencies = ["requests<3", "rich"]'), ["requests<3", "rich"]],
  [head("dependencies = [", '  "a[x]>=1", # "not.this"', "  'b.c',", "  \"d; os_name == 'nt'\",", "]"), ["a[x]>=1", "b.c"]],
  ['text = """\n# dependencies = ["a"]\n"""\n', []],
  [head('dependencies = ["a"]').replaceAll("\n", "\r\n"), ["a"]],
  [head('requires-python = ">=3"', "[tool.hatch.envs.x]", 'dependencies = ["pytest"]'), []],
  [head('dependencies = ["a"]', "[tool.x]", 'dependencies = ["b"]'), ["a"]],
  ["# /// other\n# dependencies = ['a']\n# ///\n", []],
])("%j needs %j", (source, names) => expect(dependenciesOf(source)).toEqual(names));

it("is refused with how each is brought in, and taken where it lies in a folder that comes along", () => {
  const source = head('dependencies = ["Typing.Extensions>=4", "rich"]');
  const at = (...paths: string[]): SourceEntry[] => paths.map((path) => ({ path, kind: "file", blob: bytesBlob(new Uint8Array()) }));
  const assert = (...paths: string[]) => assertBrought("x.py", source, at(...paths));
  expect(() => assert()).toThrow(
    /^x\.py says that it needs Typing\.Extensions>=4, rich \(PEP 723\).*pip install --target packages 'Typing\.Extensions>=4' rich, then/,
  );
  expect(() => assert("packages/typing_extensions.py")).toThrow(/needs rich \(PEP 723\)/);
  expect(() => assert("typing_extensions-4.9.0.dist-info/METADATA", "rich/__init__.py")).not.toThrow();
});

it("reads a text of any size once", () => {
  const pieces = ["# /// script\n", "#\n", "# dependencies = [", "'", "# dependencies = [\n# #", "# ///\n"];
  for (const piece of pieces) expect(dependenciesOf(`# /// script\n${piece.repeat(200_000)}`)).toEqual([]);
});
