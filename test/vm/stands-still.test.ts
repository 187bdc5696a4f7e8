/** Machines that stand still: by their customer, by their host's full disk, by a hang of their own; and what their clocks say afterwards. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GuestControls } from "../../packages/xenoserver/src/drivers/driver.ts";
import { until } from "../process/market.ts";
import { STILL_MS, isRight, still } from "./clocks.ts";
import { BUSYBOX, openEnds, type EndsBench } from "./machine-ends.ts";
import { initrd, kernel, machines } from "./support.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
/** Of a clock that is read in whole seconds. */
const RIGHT_S = 2;

/** What the guest's clocks said last: time of day, and how long it has been up. */
function clocksIn(stdout: string): { day: number; up: number } {
  const [, day, up] = [...stdout.matchAll(/^clocks (\d+) ([\d.]+)/gm)].at(-1) ?? [];
  return { day: Number(day), up: Number(up) };
}
const CLOCKS = 'while :; do echo "clocks $(date +%s) $(cut -d" " -f1 /proc/uptime)"; sleep 0.3; done';
const isNow = ({ day }: { day: number }): boolean => isRight(day * 1_000, Date.now(), RIGHT_S * 1_000);

machines("machines that stand still", () => {
  let bench: EndsBench;
  let box: string;
  beforeAll(async () => {
    bench = await openEnds();
    box = await bench.layer(BUSYBOX);
  });
  afterAll(() => bench.close());
  const kernelWith = async (script: string) => {
    const ramdisk = path.join(bench.folder, "ramdisk");
    await writeFile(ramdisk, await initrd(script));
    const images = { kernel: await bench.blob(await kernel()), initrd: await bench.blob(ramdisk) };
    return { diskMib: 0, vm: { kind: "kernel" as const, ...images, append: "console=ttyS0 quiet panic=-1" } };
  };

  it("an image's guest that was paused, and kept meanwhile, has the right time of day; its other clocks stood still with it", async () => {
    const came = await bench.run({
      vm: bench.image([box], ["sh", "-c", CLOCKS]),
      async meanwhile({ says, stdout, pause, resume, stop, controls }) {
        await says("clocks");
        await until(async () => isNow(clocksIn(await stdout())));
        await pause();
        const before = clocksIn(await stdout());
        await controls.snapshot(); // which leaves it as it is
        await still();
        await resume();
        await until(async () => isNow(clocksIn(await stdout())));
        const after = clocksIn(await stdout());
        expect(after.day - before.day - (after.up - before.up)).toBeGreaterThan(STILL_MS / 1_000 - RIGHT_S);
        await stop();
      },
    });
    expect(came).toMatchObject({ ended: { reason: "stopped" } });
  });

  it("a guest without an agent has the right time of day when it is started again: its hardware clock never stood still", async () => {
    const came = await bench.run({
      ...(await kernelWith(`echo booted; ${CLOCKS}`)),
      async meanwhile({ says, stdout, pause, resume, stop, controls }) {
        await says("clocks");
        await pause();
        await still();
        await resume();
        await controls.reboot();
        await until(async () => (await stdout()).split("booted").length > 2 && isNow(clocksIn(await stdout())));
        await stop();
      },
    });
    expect(came).toMatchObject({ ended: { reason: "stopped" } });
  });

  it("a guest that hangs ends by the watchdog that it armed, as its own doing", async () => {
    const arming = [
      'for d in /sys/bus/pci/devices/*; do [ "$(cat $d/device)" = 0x25ab ] && w=$d; done',
      "echo 1 > $w/enable; base=$(head -n 1 $w/resource | cut -d' ' -f1)",
      "unlock() { devmem $((base + 12)) 16 0x80; devmem $((base + 12)) 16 0x86; }",
      "unlock; devmem $((base)) 32 0x200; unlock; devmem $((base + 4)) 32 0x200; unlock; devmem $((base + 12)) 16 0x100",
      "printf '\\002' | dd of=$w/config bs=1 seek=104 conv=notrunc 2>/dev/null; echo armed; sleep 6000",
    ];
    const came = await bench.run(await kernelWith(arming.join("\n")));
    const detail = expect.stringContaining("watchdog") as string;
    expect(came).toMatchObject({ ended: { kind: "result", reason: "guest-panic", detail } });
  });

  it("a panic says what the console said of it", async () => {
    const came = await bench.run({ vm: bench.image([box], ["sh", "-c", "echo c > /proc/sysrq-trigger; sleep 60"]) });
    const detail = expect.stringContaining("Kernel panic - not syncing: sysrq triggered crash") as string;
    expect(came).toMatchObject({ ended: { kind: "result", reason: "guest-panic", detail } });
  });

  it("a guest whose own disk is full sees that, and goes on", async () => {
    const fill = "dd if=/dev/urandom of=/big bs=1M count=200 2>&1 | grep -o 'No space left on device'; rm /big; sync; echo goes on";
    const came = await bench.run({ vm: bench.image([box], ["sh", "-c", fill]) });
    expect(came).toMatchObject({ ended: { reason: "completed", exitCode: 0 }, stdout: "No space left on device\ngoes on\n" });
  });

  describe.skipIf(process.getuid?.() !== 0)("on a host whose disk is full", () => {
    let small: string;
    beforeAll(async () => {
      small = await mkdtemp(path.join(tmpdir(), "xeno-small-"));
      await run("mount", ["-t", "tmpfs", "-o", "size=400m,mode=755", "small", small]);
    });
    afterAll(async () => {
      await run("umount", ["-l", small]);
      await rm(small, { recursive: true, force: true });
    });
    const filler = (): string => path.join(small, "filler");
    const leaveMib = async (mib: number): Promise<void> => {
      const { bavail, bsize } = await statfs(small);
      await run("fallocate", ["-l", String(bavail * bsize - mib * MIB), filler()]);
    };
    const writes =
      "read go; dd if=/dev/urandom of=/big bs=1M count=100 2>&1 | grep -i error; sync; md5sum /big > /sum; md5sum -c /sum; echo written";
    const machineOn = (on: EndsBench, layer: string) => ({
      diskMib: 192,
      vm: on.image([layer], ["sh", "-c", writes], { process: { stdin: true, terminal: null, stopSignal: 15, stopGraceMs: 1_000 } }),
    });
    /** From then on it writes: what is said before the guest asks for input comes to nobody. */
    const go = async ({ stdin }: GuestControls): Promise<void> => {
      await until(async () => stdin?.taken === 0);
      expect(await stdin?.receive(0, Buffer.from("\n"), true)).toBeNull();
    };

    it("stands still before it sees an error, and goes on when there is room", async () => {
      const on = await openEnds({ vmFolder: path.join(small, "waits") });
      const said: (string | null)[] = [];
      const came = await on.run({
        ...machineOn(on, await on.layer(BUSYBOX)),
        async meanwhile({ controls, onStall, resume }) {
          onStall((why) => {
            said.push(why);
            if (why === null) void resume();
          });
          await leaveMib(16);
          await go(controls);
          await until(async () => said.length > 0);
          await rm(filler());
          await until(async () => said.length > 1);
        },
      });
      expect(said.slice(0, 2)).toEqual([expect.stringContaining("disk is full"), null]);
      expect(came).toMatchObject({ ended: { reason: "completed", exitCode: 0 }, stdout: "/big: OK\nwritten\n" });
      await on.close();
    });

    it("ends as its host's failure where nobody makes room", async () => {
      const on = await openEnds({ vmFolder: path.join(small, "ends"), fullDiskMsMax: 0 });
      const came = await on.run({
        ...machineOn(on, await on.layer(BUSYBOX)),
        async meanwhile({ controls }) {
          await leaveMib(16);
          await go(controls);
        },
      });
      expect(came).toMatchObject({
        ended: { kind: "host-failure", detail: expect.stringContaining("disk of this server was full") as string },
      });
      await rm(filler());
      await on.close();
    });
  });
});
