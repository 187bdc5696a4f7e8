import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { home } from "@xenoservers/sdk";
import { Typed } from "../typed.fixture.ts";

const typed = new Typed();
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-doctor-"));
  vi.stubEnv("XENO_HOME", folder);
  typed.listen();
});
afterEach(async () => {
  typed.leave();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

async function large(file: string, mebibytes: number): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, "");
  await truncate(file, mebibytes * 1024 * 1024);
}

it("says what is kept here, how large it is, and what of it has a bound", async () => {
  expect(await typed.xeno("doctor")).toBe(1);
  expect(typed.said.stdout).toContain(`ok   0 MiB of at most 8192 MiB are kept in ${home.data} and may be deleted: images 0 MiB`);
  await large(path.join(home.data, "oci", "layer"), 30);
  await large(path.join(home.data, "blobs", "module"), 4);
  await large(path.join(home.data, "jobs", "hash", "job.json"), 1);
  await large(path.join(home.receipts, "r.json"), 2);
  expect(await typed.xeno("doctor", "--json")).toBe(1);
  const { findings } = JSON.parse(typed.said.stdout) as { findings: { ok: boolean; what: string }[] };
  const kept = findings.filter(({ what }) => what.includes("MiB"));
  expect(kept.map(({ ok, what }) => [ok, what])).toEqual([
    [true, expect.stringMatching(/^35 MiB of at most 8192 MiB .*: images 30 MiB, files of jobs 4 MiB, jobs 1 MiB, results 0 MiB$/)],
    [true, `2 MiB of receipts are in ${home.receipts}, and stay`],
  ]);
});

const findings = async (): Promise<{ ok: boolean; what: string; next: string }[]> => {
  expect(await typed.xeno("doctor", "--json")).toBe(1);
  return (JSON.parse(typed.said.stdout) as { findings: { ok: boolean; what: string; next: string }[] }).findings;
};

it("looks at the token that takes the place of a login, and asks for no login then", async () => {
  vi.stubEnv("XENO_TOKEN", "xeno-ci-AAAA");
  const found = await findings();
  expect(found.filter(({ ok }) => !ok)).toEqual([
    { ok: false, what: expect.stringMatching(/^XENO_TOKEN: this is not a token/), next: "mend that, or unset it" },
  ]);
  expect(found.filter(({ what }) => what.includes("market context"))).toEqual([]);
});

it("says where nothing can be kept", async () => {
  vi.stubEnv("XENO_HOME", "/proc/xeno");
  const found = await findings();
  expect(found).toContainEqual({
    ok: false,
    what: expect.stringMatching(/^nothing can be kept in \/proc\/xeno\/data \(\/proc: /),
    next: expect.stringContaining("XENO_HOME"),
  });
});
