import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { wereSeen } from "./seen-quotes.ts";

let data: string;
beforeEach(async () => {
  data = await mkdtemp(path.join(tmpdir(), "xeno-seen-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

it("knows what was shown, and nothing that differs in a letter", async () => {
  expect(await wereSeen(data, ["server a", "hold 1"])).toBe(false);
  expect(await wereSeen(data, ["server a", "hold 1"])).toBe(true);
  expect(await wereSeen(data, ["server a", "hold 2"])).toBe(false);
  expect(await wereSeen(data, ["server a", "hold 1"])).toBe(true);
});

it("lets go of the oldest", async () => {
  for (let i = 0; i <= 64; i++) await wereSeen(data, [String(i)]);
  expect(await wereSeen(data, ["64"])).toBe(true);
  expect(await wereSeen(data, ["0"])).toBe(false);
});

it("shows all each time where nothing can be kept", async () => {
  await writeFile(path.join(data, "file"), "");
  const nowhere = path.join(data, "file");
  expect(await wereSeen(nowhere, ["a"])).toBe(false);
  expect(await wereSeen(nowhere, ["a"])).toBe(false);
});
