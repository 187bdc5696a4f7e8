/**
 * A machine with all that has a memory of its own beside the guest's: UEFI variables, a TPM, a screen. What each of them holds is in the
 * machine's state, goes with it to the other server, and is there from then on.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Market } from "@xenoservers/sdk";
import type { Daemon } from "@xenoservers/xenoserver";
import { until, type TestMarket } from "../process/market.ts";
import { freePort } from "../support/free-port.ts";
import { VM_TOML, cliHome, initrd, kernel, machines, vmMarket } from "./support.ts";

/** TPM2_PCR_Extend of register 16 by 32 bytes, without a password (TPM 2.0 part 3, 22.2). */
const EXTEND = [
  ...[0x80, 0x02, 0, 0, 0, 0x41, 0, 0, 0x01, 0x82, 0, 0, 0, 16],
  ...[0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0],
  ...[0, 0, 0, 1, 0, 0x0b, ...Array.from({ length: 32 }, () => 0x41)],
];
const octal = (bytes: readonly number[]): string => bytes.map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
const NAME = "XenoMoved";
/** Says what was kept of an earlier boot; then counts, with what the TPM and the firmware hold. */
const GUEST = [
  "mount -t efivarfs efivarfs /sys/firmware/efi/efivars",
  `v=/sys/firmware/efi/efivars/${NAME}-12345678-1234-1234-1234-123456789abc`,
  'if [ -e $v ]; then echo "found $(tail -c 4 $v)"; else printf "\\007\\000\\000\\000kept" > $v; fi',
  "exec 3<>/dev/tpm0",
  `printf '${octal(EXTEND)}' >&3; dd bs=64 count=1 <&3 >/dev/null 2>&1; exec 3<&-`,
  "p=/sys/class/tpm/tpm0/pcr-sha256/16; i=0",
  'while :; do i=$((i+1)); echo "tick $i $(cut -c1-16 $p) $(tail -c 4 $v)"; sleep 1; done',
].join("\n");

const tomlOf = (port: number): string => `${VM_TOML}[move]\nlisten = "127.0.0.1:${port}"\n`;

machines("a machine with firmware, a TPM and a screen that moves", () => {
  let folder: string;
  let market: TestMarket;
  let second: Daemon;
  let xeno: Awaited<ReturnType<typeof cliHome>>["xeno"];
  let sdk: Market;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-move-devices-"));
    market = await vmMarket(tomlOf(await freePort()));
    const cli = await cliHome(market);
    xeno = cli.xeno;
    vi.stubEnv("XENO_HOME", cli.home);
    sdk = await Market.connect();
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("goes on with what they hold, and has it after it has started again there", async () => {
    const ramdisk = path.join(folder, "initrd");
    await writeFile(ramdisk, await initrd(GUEST, ["efivarfs"]));
    const job = await sdk.run({
      ...{ kernel: await kernel(), initrd: ramdisk, append: "console=ttyS0 quiet panic=-1", mem: "256M", accel: "any", maxTime: "30m" },
      ...{ machine: "q35", uefi: true, tpm: true, screen: true },
    });
    let printed = "";
    const read = (async () => {
      for await (const { text } of job.output) printed += text;
    })();
    await until(() => /tick 3 [0-9A-F]{16} kept/.test(printed));
    const [, register] = /tick 3 ([0-9A-F]{16})/.exec(printed)!;
    expect(register).not.toBe("0".repeat(16));
    const port = await freePort();
    second = await market.addServer("second", market.owner, { toml: tomlOf(port) });
    const before = printed.length;
    expect(await market.daemon.drainTo({ server: second.server.id, host: "127.0.0.1", port })).toEqual({ moved: [job.lease], stay: [] });
    await until(() => printed.slice(before).split("tick").length > 3);
    const ticks = [...printed.matchAll(/tick (\d+) (\S+) (\S+)\r/g)];
    expect(ticks.map(([, i]) => Number(i))).toEqual(ticks.map((_, i) => i + 1));
    expect(new Set(ticks.map(([, , held, kept]) => `${held} ${kept}`))).toEqual(new Set([`${register} kept`]));

    const picture = path.join(folder, "screen.png");
    expect(await xeno("screen", job.lease, "--screenshot", picture)).toMatchObject({ code: 0 });
    expect((await readFile(picture)).readUInt32BE(16)).toBeGreaterThan(0);
    const vars = path.join(market.folder, "second/vm/machines", job.lease.slice(0, 24), "box/vars.fd");
    expect((await readFile(vars)).includes(Buffer.from(NAME, "utf16le"))).toBe(true);

    const machine = await sdk.machine(job.lease);
    await machine.reboot();
    await until(() => printed.includes("found kept"));
    await until(() => printed.slice(printed.indexOf("found kept")).includes(`tick 2 ${register} kept`));
    machine.close();
    await job.stop();
    await read;
  });
});
