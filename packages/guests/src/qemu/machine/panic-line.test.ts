/** What a guest's console says of its panic. */
import { expect, it } from "vitest";
import { panicLine } from "./panic-line.ts";

it("is the last panic's line, without the kernel's own time", () => {
  const text =
    "[    1.0] Kernel panic - not syncing: old\r\nfine\n[    4.2] Kernel panic - not syncing: sysrq triggered crash\n[  4.3] CPU: 0\n";
  expect(panicLine(text)).toBe("its console says: Kernel panic - not syncing: sysrq triggered crash");
});

it("brings no control characters and no more than a line of what the guest wrote", () => {
  const said = panicLine(`Kernel panic - \u001b[2J\u0000${"x".repeat(5_000)}`);
  expect(said).toMatch(/^its console says: Kernel panic - \?\[2J\?x+$/);
  expect(said.length).toBeLessThan(230);
});

it("is empty where nothing was said", () => {
  expect(panicLine("login:")).toBe("");
});
