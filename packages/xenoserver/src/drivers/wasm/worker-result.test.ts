/** What a guest that broke out of the engine may write of its own end. */
import { expect, it } from "vitest";
import { parseWorkerResult } from "./worker-result.ts";

const FILE = { path: "out/a", kind: "file", digest: "ab".repeat(32), size: 3 };
const RESULT = {
  ...{ ending: "exit", exitCode: 0, detail: "", fuel: "10", fuelInAll: "10", memoryHash: null, roots: null, stateRoot: null },
  ...{ endedMonotonicMs: 1, tree: [FILE, { path: "out/l", kind: "link", target: "a" }] },
};

it("is taken as it stands where its server can sign it", () => {
  const ending = parseWorkerResult(RESULT);
  expect(ending).toMatchObject({ kind: "result", reason: "completed", exitCode: 0, fuel: 10n, tree: RESULT.tree });
});

it("is no result where nobody could sign it, and does not stop the daemon that tries", () => {
  const odd = [
    { exitCode: -0 },
    { tree: [{ ...FILE, size: -0 }] },
    { tree: [{ ...FILE, path: "out/\ud800" }] },
    { tree: [{ path: "l", kind: "link", target: "\udfff" }] },
    ...[{ ending: "constructor" }, { fuel: "-1" }, { endedMonotonicMs: null }, { tree: [{ ...FILE, path: "../a" }] }],
  ];
  for (const part of odd) {
    const ending = parseWorkerResult({ ...RESULT, ...part });
    expect([part, ending.kind]).toEqual([part, "host-failure"]);
  }
});
