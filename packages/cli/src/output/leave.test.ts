import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const run = promisify(execFile);
const LEAVE = path.join(import.meta.dirname, "leave.ts");

it("a reader that takes its time gets every byte, and the exit code stays", async () => {
  const program = `import { leave } from ${JSON.stringify(LEAVE)}; process.stdout.write("x".repeat(3_000_000)); process.exitCode = 3; leave();`;
  const script = `{ "$0" --no-warnings --input-type=module -e "$1"; echo $? >&2; } | { sleep 1; wc -c; }`;
  const { stdout, stderr } = await run("sh", ["-c", script, process.execPath, program]);
  expect([stdout.trim(), stderr.trim()]).toEqual(["3000000", "3"]);
});

it("a reader that has had enough ends it", async () => {
  const program = `process.stdout.on("error", () => process.exit(0)); import { leave } from ${JSON.stringify(LEAVE)};
    process.stdout.write("x".repeat(3_000_000)); leave();`;
  const script = `"$0" --no-warnings --input-type=module -e "$1" | head -c 10`;
  expect((await run("sh", ["-c", script, process.execPath, program])).stdout).toBe("xxxxxxxxxx");
});
