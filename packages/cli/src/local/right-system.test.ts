import { expect, it } from "vitest";
import { assertLinux, linuxProblem } from "./right-system.ts";

it("says on other systems what is for Linux, and which this is", () => {
  expect(linuxProblem("run --local", "linux")).toBeNull();
  expect(linuxProblem("run --local", "win32")).toMatch(/^run --local is for Linux, and this is Windows: /);
  expect(() => assertLinux("serve", "darwin")).toThrow(/^serve is for Linux, and this is macOS: /);
  expect(linuxProblem("serve", "freebsd")).toMatch(/this is freebsd/);
});
