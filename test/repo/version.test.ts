/** A version stands in the root's package.json; the workspace's folders and what they need of one another say the same. */
import { readFileSync, readdirSync } from "node:fs";
import { expect, it } from "vitest";

interface Manifest {
  version: string;
  dependencies?: Record<string, string>;
}
const manifest = (file: string): Manifest => JSON.parse(readFileSync(file, "utf8")) as Manifest;

it("there is one version", () => {
  const { version } = manifest("package.json");
  for (const folder of readdirSync("packages")) {
    const { version: own, dependencies = {} } = manifest(`packages/${folder}/package.json`);
    expect(own, folder).toBe(version);
    for (const [name, of] of Object.entries(dependencies))
      if (name.startsWith("@xenoservers/")) expect(of, `${folder}: ${name}`).toBe(version);
  }
});

it("nothing that CI or a script does has a version of ours written down", () => {
  const { version } = manifest("package.json");
  const files = [".ci/run", ...readdirSync("scripts", { recursive: true, encoding: "utf8" }).map((name) => `scripts/${name}`)];
  const told = files.filter((file) => /\.(ts|js)$|run$/.test(file) && readFileSync(file, "utf8").includes(`"${version}"`));
  expect(told).toEqual([]);
});
