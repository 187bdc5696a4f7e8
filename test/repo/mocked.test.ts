/** What puts something in a module's place has a worker of its own: one that takes file after file may have loaded what imports that module. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import config from "../../vitest.config.ts";

const MOCKS = /^\s*vi\.(?:do)?[mM]ock\(/m;

it("is in no file whose worker takes another one after it", () => {
  const [, units] = config.test!.projects as [unknown, { test: { include: string[] } }];
  const files = execFileSync("git", ["ls-files", "packages/**/*.test.ts", "test/**/*.test.ts"], { encoding: "utf8" }).trim().split("\n");
  const mocking = files.filter((file) => MOCKS.test(readFileSync(file, "utf8")));
  expect(mocking.length).toBeGreaterThan(3);
  expect(mocking.filter((file) => units.test.include.some((glob) => path.matchesGlob(file, glob)))).toEqual([]);
});
