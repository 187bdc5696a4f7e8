import { expect, it } from "vitest";
import { handedBack, withNothing } from "./guest-end.ts";

const SIZES = { stdoutSize: 3, stderrSize: 0 };
const large = { path: "out/large", kind: "file", digest: "ab".repeat(32), size: 1024 * 1024 * 1024 } as const;
const ended = (reason: "completed" | "customer-stop" | "memory-limit") => ({ ...withNothing(reason), exitCode: 0, tree: [large] });

it("a job that leaves more than comes back has met a limit; one that was ended keeps its reason", () => {
  expect(handedBack(ended("completed"), SIZES)).toMatchObject({ reason: "output-limit", exitCode: null, tree: [] });
  expect(handedBack(ended("customer-stop"), SIZES)).toMatchObject({ reason: "customer-stop", tree: [] });
  expect(handedBack(ended("memory-limit"), SIZES).detail).toContain("1024 MiB");
});

it("what comes back stays as it is", () => {
  const end = { ...ended("completed"), tree: [{ ...large, size: 1024 }] };
  expect(handedBack(end, SIZES)).toBe(end);
});
