/** A file of several names whose first one goes between the look and the read. */
import { link, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it, vi } from "vitest";
import { copyIn } from "./copy-in.ts";
import { ShellHere, hasPerl } from "./guest.fixture.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const open: typeof real.open = async (file, ...how) => {
    if (String(file).endsWith("from/a")) await real.rm(file, { force: true });
    return real.open(file, ...how);
  };
  return { ...real, open };
});

it.skipIf(!hasPerl)("comes by its second name, whatever has the first's in the guest", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-first-name-"));
  const at = (name: string): string => path.join(folder, name);
  const here = new ShellHere();
  try {
    await mkdir(at("from"));
    await writeFile(at("from/a"), "new");
    await link(at("from/a"), at("from/b"));
    await mkdir(at("to"));
    await writeFile(at("to/a"), "old");
    const leftOut = await here.withFiles((files) => copyIn(files, `${at("from")}/.`, at("to"), { owners: false }));
    expect(leftOut).toEqual(["a: it went while it was copied"]);
    expect([await readFile(at("to/a"), "utf8"), await readFile(at("to/b"), "utf8")]).toEqual(["old", "new"]);
  } finally {
    here.end();
    await rm(folder, { recursive: true, force: true });
  }
});
