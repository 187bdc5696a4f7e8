/** How domains end: each reason has one who brought it about, and what is written down is read again. */
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endOfShutdown, readDomainEnd, writeDomainEnd, type DomainEnd } from "./domain-end.ts";
import { SHUTDOWN_REASONS } from "./listing.ts";

describe("a domain's end", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-domain-end-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("is never its host's by what the guest told the hypervisor", () => {
    const ends = SHUTDOWN_REASONS.map((reason) => [reason, endOfShutdown(reason, "[ 1.0] Kernel panic - not syncing: x\n")?.kind ?? null]);
    expect(Object.fromEntries(ends)).toEqual({
      ...{ poweroff: "shutdown", reboot: null, suspend: "panic", crash: "panic", watchdog: "hang", "soft-reset": "panic" },
    });
    expect(endOfShutdown("crash", "x\n[ 1.0] Kernel panic - not syncing: init died\n")).toEqual({
      kind: "panic",
      detail: "its console says: Kernel panic - not syncing: init died",
    });
  });

  it.each<DomainEnd>([
    { kind: "shutdown", isReset: false },
    { kind: "panic", detail: "x" },
    { kind: "job", exitCode: 3, tree: [{ path: "out/f", kind: "link", target: "g" }], detail: "", stopped: true },
    { kind: "hang" },
    { kind: "output-limit", detail: "much" },
    { kind: "stopped" },
    { kind: "crashed", detail: "gone" },
    { kind: "host", detail: "why" },
  ])("is read as it was written: $kind", async (end) => {
    await writeDomainEnd(folder, end);
    expect(await readDomainEnd(folder)).toEqual(end);
  });

  it("stays as it was until another is there whole: a full disk leaves no half of one", async () => {
    await writeDomainEnd(folder, { kind: "hang" });
    const before = await open(path.join(folder, "end.json"));
    await writeDomainEnd(folder, { kind: "stopped" });
    expect(await before.readFile("utf8")).toBe('{"kind":"hang"}');
    await before.close();
    expect(await readDomainEnd(folder)).toEqual({ kind: "stopped" });
  });

  it.each(['{"kind":"panic"}', '{"kind":"job"}', '{"kind":"toString"}', "[]", "nothing"])("is not guessed from %s", async (text) => {
    await writeFile(path.join(folder, "end.json"), text);
    await expect(readDomainEnd(folder)).rejects.toThrow("does not hold what this program writes");
  });
});
