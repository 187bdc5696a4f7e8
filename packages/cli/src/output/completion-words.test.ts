import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { noteLease, noteLeases, noteWords } from "./completion-words.ts";

it("keeps words that no shell gives a meaning, newest first, and lets go of what ends", async () => {
  const data = await mkdtemp(path.join(tmpdir(), "xeno-words-"));
  const lines = (list: string): Promise<string> => readFile(path.join(data, "completion", list), "utf8");
  try {
    await noteWords(data, "contexts", ["market.example", "$(touch x)", "a b", "`id`", "x\ny", "market.example", ""]);
    expect(await lines("contexts")).toBe("market.example\n");
    await noteLeases(data, ["aaaaaaaaaaaaaaaa"]);
    await noteLease(data, "bbbbbbbbbbbbbbbb", true);
    expect(await lines("leases")).toBe("bbbbbbbbbbbb\naaaaaaaaaaaa\n");
    await noteLease(data, "aaaaaaaaaaaaaaaa", false);
    expect(await lines("leases")).toBe("bbbbbbbbbbbb\n");
    // a file lies where its folder would
    await noteLeases(path.join(data, "completion/leases"), ["aaaa"]);
  } finally {
    await rm(data, { recursive: true, force: true });
  }
});
