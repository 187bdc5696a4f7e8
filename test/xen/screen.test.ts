/**
 * Domains with a BIOS and a screen on a real Xen: what emulates them is confined, seen by their customer alone, and leaves nothing. One boot,
 * one market and two starts of the server; a third of the time goes before the first lease, ten seconds of it are what a stopped guest has.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { bytesBlob, type BuiltVm } from "@xenoservers/sdk";
import { orderAndFollow } from "../process/market.ts";
import { until, untilThere } from "./waiting.ts";
import { RawViewer } from "../vm/rfb.ts";
import { cliHome, machine } from "../vm/support.ts";
import { bootMedium } from "./boot-medium.ts";
import { ServedDom0 } from "./served-dom0.ts";
import { onXen, wantedOnXen } from "./support.ts";

const PROGRAM = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
const SIZE = ["--driver", "xen", "--mem", "64M", "--disk", "1M", "--accel", "any"];
const BUDGET_NANOS = 100_000n;
const SECTOR = 512;
const MIB = 1024 * 1024;

/**
 * Says `on` on its serial line, and then each key there and on its screen: `q` writes to the register that powers it off, `r` to the one
 * that starts it again.
 */
const TYPEWRITER = [
  ...[0xba, 0xf8, 0x03, 0xb0, 0x6f, 0xee, 0xb0, 0x6e, 0xee, 0xb0, 0x0a, 0xee], // dx = 3f8: "on\n"
  ...[0x31, 0xc0, 0xcd, 0x16, 0xb4, 0x0e, 0x31, 0xdb, 0xcd, 0x10, 0xba, 0xf8, 0x03, 0xee], // int 16h, int 10h, out
  ...[0x3c, 0x71, 0x75, 0x07, 0xba, 0x04, 0xb0, 0xb8, 0x00, 0x20, 0xef], // q: PM1a_CNT, SLP_EN
  ...[0x3c, 0x72, 0x75, 0xe3, 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xdd], // r: 0xfe to the keyboard's controller; again
];

/** A disk whose first sector is that program. */
function typewriter(): Buffer {
  const bytes = Buffer.alloc(MIB);
  bytes.set(TYPEWRITER);
  bytes.writeUInt16BE(0x55aa, SECTOR - 2);
  return bytes;
}

const SCREEN = { memoryMib: 64, diskMib: 1, screen: true, driver: "xen" } as const;
const onDisk = (): Promise<BuiltVm> => {
  const blob = bytesBlob(typewriter());
  const vm = { kind: "disk", image: { digest: blob.digest, format: "raw", url: null }, iso: null, seed: [] } as const;
  return machine({ ...SCREEN, vm: { ...vm, seed: [] }, blobs: [blob] });
};
/** An installer's medium, beside an empty disk. */
const onMedium = (): Promise<BuiltVm> => {
  const blob = bytesBlob(bootMedium(TYPEWRITER));
  return machine({ ...SCREEN, vm: { kind: "disk", image: null, iso: { digest: blob.digest, url: null }, seed: [] }, blobs: [blob] });
};

onXen("a domain's screen", () => {
  let dom0: ServedDom0;
  let cli: Awaited<ReturnType<typeof cliHome>>;
  const shown: ChildProcess[] = [];
  beforeAll(async () => {
    dom0 = await ServedDom0.start();
    cli = await cliHome(dom0.market);
    await dom0.serve();
  });
  afterAll(async () => {
    for (const each of shown) each.kill("SIGKILL");
    await dom0?.close();
  });

  const rent = (job: BuiltVm, over: Parameters<typeof wantedOnXen>[1] = {}) => orderAndFollow(cli.client, job, wantedOnXen(job, over));
  type Going = Awaited<ReturnType<typeof rent>>;
  const says = ({ seen }: Going, words: RegExp): Promise<void> => until(() => words.test(seen.stdout));

  /** `xeno screen`, looked at by hand. */
  async function viewer({ session: { lease } }: Going): Promise<{ raw: RawViewer; size: [number, number] }> {
    const env = { ...process.env, XENO_HOME: cli.home, NO_COLOR: "1" };
    const child = spawn(process.execPath, [PROGRAM, "screen", lease, "--no-viewer"], { env, stdio: ["ignore", "pipe", "pipe"] });
    shown.push(child);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (said += bytes.toString()));
    await until(() => /vnc:[^]*password \S+\n/.test(said) || child.exitCode !== null);
    const [, port, password] = /vnc:\/\/127\.0\.0\.1:(\d+)\n[^]*?password (\S{8})\n/.exec(said) ?? [];
    expect(password, said).toBeDefined();
    const raw = await RawViewer.to(Number(port));
    expect(await raw.login(password!)).toBe(0);
    return { raw, size: await raw.begin() };
  }

  async function diskFile(): Promise<string> {
    const file = path.join(dom0.folder, "typewriter.raw");
    await writeFile(file, typewriter());
    return file;
  }

  /** Of the one device model that there is; its words are those of /proc. */
  const model = async (script: string): Promise<string> =>
    dom0.sh(`pid=$(xenstore-read /local/domain/$(xl domid $(xl list | awk 'NR == 3 {print $1}'))/image/device-model-pid); ${script}`);

  /** Of a device model, beside what is left of no domain. */
  async function nothingIsLeft(): Promise<void> {
    await dom0.nothingIsLeft();
    const left = (): Promise<string> =>
      dom0.sh(`ps -e -o comm= | grep xen-qemu || true; find /run/xen -name 'qemu-root-*' -o -name 'qmp-*'
        find /var/log/xen -name 'qemu-dm-*'; find /sys/fs/cgroup -name 'xeno-device-model-*'`);
    await untilThere(async () => (await left()) === "");
  }

  it("ends with its lease that its customer stops", async () => {
    const stopped = await rent(await onDisk());
    await says(stopped, /^on$/m);
    const { raw } = await viewer(stopped);
    expect((await cli.xeno("lease", "stop", stopped.session.lease)).code).toBe(0);
    await raw.ended();
    await stopped.end();
    await nothingIsLeft();
  });

  it("ends with its budget", async () => {
    const costly = await rent(await onDisk(), { budgetNanos: BUDGET_NANOS });
    expect((await costly.end()).lease.end).toMatchObject({ reason: "budget", blame: "customer" });
    await nothingIsLeft();
  });

  it("boots from its medium beside an empty disk, and ends where its QEMU is killed, at nobody's cost", async () => {
    const going = await rent(await onMedium());
    await says(going, /^on$/m);
    await model("kill -KILL $pid");
    expect((await going.end()).lease.end).toMatchObject({ reason: "vm-crashed", blame: "nobody" });
    await nothingIsLeft();
  });

  /** It comes last, for its server is started on a host that has no user ids for others by then. */
  it("is offered where the host can, and shows what its BIOS boots; what emulates it is held in, through keys, a killed server, a host without ids for more and a restart inside", async () => {
    const going = await rent(await onDisk());
    await says(going, /^on$/m);
    const status = await model(
      "cat /proc/$pid/status; readlink /proc/$pid/root /proc/$pid/ns/net /proc/1/ns/net; cat /proc/$pid/net/dev | wc -l",
    );
    const uid = Number(/^Uid:\s+(\d+)\s+\1\s+\1\s+\1$/m.exec(status)?.[1]);
    expect(uid).toBeGreaterThan(131_072);
    for (const line of [/^CapPrm:\s+0+$/m, /^CapEff:\s+0+$/m, /^NoNewPrivs:\s+1$/m, /^Seccomp:\s+2$/m]) expect(status).toMatch(line);
    const [lines, first, own, root] = status.split("\n").toReversed();
    expect(root).toMatch(/^\/run\/xen\/qemu-root-\d+$/);
    expect(own).not.toBe(first);
    expect(lines).toBe("3"); // its loopback, below the heading
    expect(await model("cat $(sed -n 's,^0::,/sys/fs/cgroup,p' /proc/$pid/cgroup)/memory.max")).toBe(String(104 * MIB));

    const { raw, size } = await viewer(going);
    expect(size[0]).toBeGreaterThanOrEqual(640);
    raw.key("z".codePointAt(0)!);
    await says(going, /^on\nz/m);
    const picture = path.join(dom0.folder, "screen.png");
    expect(await cli.xeno("screen", going.session.lease, "--screenshot", picture)).toMatchObject({ code: 0 });
    expect((await readFile(picture)).length).toBeGreaterThan(500);

    // what runs goes on and is seen, also where its host can make no more of its kind
    await dom0.kill();
    await dom0.sh("sed -i.kept /xen-qemuuser-range-base/d /etc/passwd");
    await dom0.serve();
    const refused = await cli.xeno("run", ...SIZE, "--vm", await diskFile(), "--format", "raw", "--screen");
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("no_match");
    await dom0.sh("mv /etc/passwd.kept /etc/passwd");
    (await viewer(going)).raw.key("r".codePointAt(0)!);
    await says(going, /on\n[^]*on\n/);
    (await viewer(going)).raw.key("q".codePointAt(0)!);
    expect((await going.end()).lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
    await nothingIsLeft();
  });
});
