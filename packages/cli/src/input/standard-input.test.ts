import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";

const READS = `import { standardInput } from ${JSON.stringify(path.join(import.meta.dirname, "standard-input.ts"))};
console.log((await standardInput({ always: true, never: false })).length);`;

function read(file: string): { stdout: string; stderr: string } {
  const input = openSync(file, "r");
  try {
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", READS], {
      ...{ stdio: [input, "pipe", "pipe"], encoding: "utf8" },
    });
    return { stdout, stderr };
  } finally {
    closeSync(input);
  }
}

it("is a file to its end, and no folder, which is not empty (docker exec -i … < FOLDER)", () => {
  expect(read(import.meta.filename).stdout.trim()).toMatch(/^[1-9]\d+$/);
  expect(read("/dev/null").stdout.trim()).toBe("0");
  expect(read(tmpdir()).stderr).toContain("standard input is a folder");
});
