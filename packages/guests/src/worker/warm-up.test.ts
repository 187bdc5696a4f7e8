/** What a worker runs while it waits. */
import { expect, it, vi } from "vitest";
import * as ofNode from "./of-node.ts";
import { warmUp } from "./warm-up.ts";

vi.mock("./of-node.ts", async (original) => {
  const { writeSync, setFlag, ...others } = await original<typeof ofNode>();
  return { ...others, writeSync: vi.fn(writeSync), setFlag: vi.fn(setFlag) };
});

it("runs a job to its end, writes nothing, and leaves V8 as it was told to validate", async () => {
  const result: unknown = JSON.parse(await warmUp("/nowhere"));
  expect(result).toMatchObject({ ending: "exit", exitCode: 0, memoryHash: expect.stringMatching(/^[0-9a-f]{64}$/), tree: [] });
  expect(ofNode.writeSync).not.toHaveBeenCalled();
  expect(ofNode.setFlag).not.toHaveBeenCalled();
});
