import { afterEach, expect, it, vi } from "vitest";
import { abuseTrace } from "../verbs/abuse-trace.ts";
import { leaseAppeal } from "../verbs/lease-appeal.ts";
import { assertLinux, linuxProblem } from "./right-system.ts";

afterEach(() => vi.restoreAllMocks());

it("says on other systems what is for Linux, and which this is", () => {
  expect(linuxProblem("run --local", "linux")).toBeNull();
  expect(linuxProblem("run --local", "win32")).toMatch(/^run --local is for Linux, and this is Windows: /);
  expect(() => assertLinux("serve", "darwin")).toThrow(/^serve is for Linux, and this is macOS: /);
  expect(linuxProblem("serve", "freebsd")).toMatch(/this is freebsd/);
});

it("is said by what reads an owner's own server before anything of it is looked for", async () => {
  vi.spyOn(process, "platform", "get").mockReturnValue("darwin");
  const nowhere = { data: "/nowhere", json: false } as const;
  await expect(abuseTrace({ ...nowhere, address: "203.0.113.7", at: null, fromPort: null })).rejects.toThrow(/^abuse trace is for Linux/);
  await expect(leaseAppeal({ ...nowhere, lease: "ab".repeat(32), budget: null, yes: true } as never)).rejects.toThrow(
    /^lease appeal is for Linux/,
  );
});
