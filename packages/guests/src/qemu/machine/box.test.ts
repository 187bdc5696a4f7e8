/** Whether a box can be made does not hang on whose shell the daemon was started from. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { boxProblem } from "./box.ts";

afterEach(() => vi.unstubAllEnvs());

/** As Debian has it for everybody but root: without the folders of administrators' programs. */
const USERS_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";

it("is the same for a user whose PATH has no /usr/sbin, where pivot_root lies", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-box-"));
  try {
    const asRoot = await boxProblem(path.join(folder, "one"));
    vi.stubEnv("PATH", USERS_PATH);
    expect(await boxProblem(path.join(folder, "other"))).toEqual(asRoot);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
