/** Whether a box can be made does not hang on whose shell the daemon was started from. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, it, vi } from "vitest";
import { OWN_BOX, boxProblem, boxed, uidOf } from "./box.ts";

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

/** How much a connection takes that is never read, by Perl's core alone. */
const UNREAD = String.raw`
my ($at, $to, $never);
socket($at, 2, 1, 0) && bind($at, pack('S n a4 x8', 2, 0, "\x7f\0\0\1")) && listen($at, 1) or die $!;
socket($to, 2, 1, 0) && connect($to, getsockname $at) or die $!;
accept($never, $at) or die $!;
fcntl($to, 4, 04000 | 2);
my ($all, $waits) = (0, '');
vec($waits, fileno $to, 1) = 1;
while (select(undef, my $free = $waits, undef, 0.5)) { $all += syswrite($to, 'x' x 65536) || last }
print $all`;

it("keeps little of a connection that nobody reads", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-box-"));
  try {
    if ((await boxProblem(folder)) !== null) return;
    await mkdir(path.join(folder, "again/root"), { recursive: true });
    const box = { ...OWN_BOX, folder: path.join(folder, "again"), fileMibMax: 1, uid: uidOf("0".repeat(8)) };
    const [program, ...args] = await boxed(box, ["perl", "-e", UNREAD]);
    const { stdout } = await promisify(execFile)(program, args, { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
    expect(Number(stdout)).toBeGreaterThan(65_535);
    expect(Number(stdout)).toBeLessThan(1_000_000);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
