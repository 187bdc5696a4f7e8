/** Whole machines through the market: a kernel with a RAM disk, a program that is no Linux at all, UEFI, a TPM, and how machines end. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileBlob } from "@xenoservers/sdk";
import { orderAndFollow, until, type TestMarket } from "../process/market.ts";
import { cliHome, initrd, kernel, kernelMachine, machine, machines, run, qemus, stopAll, vmMarket, wantedFor } from "./support.ts";

machines("machines through the market", () => {
  let market: TestMarket;
  beforeAll(async () => {
    market = await vmMarket();
  });
  afterEach(() => stopAll(market));
  afterAll(() => market.close());
  const rent = async (job: Awaited<ReturnType<typeof machine>>, over = {}) => orderAndFollow(market.customer, job, wantedFor(job, over));

  it("boots a kernel, shows its console and bills its time", async () => {
    const job = await kernelMachine(await initrd("echo hello from $(uname -s); poweroff -f"));
    const end = await (await rent(job)).end();
    expect(end.stdout).toContain("hello from Linux");
    expect(end.lease.end).toMatchObject({ reason: "completed", exitCode: 0, blame: "nobody" });
    expect(end.lease.end!.billableMs).toBeGreaterThan(0);
    expect(BigInt(end.lease.end!.dueNanos)).toBeGreaterThan(0n);
    await until(async () => (await qemus(market.folder)).length === 0);
  });

  it("matches emulated servers only with accel any", async () => {
    const job = await kernelMachine(await initrd("poweroff -f"));
    await expect(rent(job, { accel: "kvm" })).rejects.toMatchObject({
      refusal: { code: "no_match", facts: { explanation: expect.stringContaining("emulated") } },
    });
  });

  it("runs what is no Linux at all, from a medium: iPXE", async () => {
    const blobs = [await fileBlob("/usr/lib/ipxe/ipxe.iso")];
    const going = await rent(
      await machine({ vm: { kind: "disk", image: null, iso: { digest: blobs[0]!.digest, url: null }, seed: [] }, machine: "q35", blobs }),
    );
    await until(() => /iPXE initialising devices/.test(going.seen.stdout));
  });

  it("starts UEFI firmware with a TPM and the devices that Windows knows", async () => {
    const job = await machine({
      ...{
        vm: { kind: "disk", image: null, iso: null, seed: [] },
        machine: "q35",
        firmware: "uefi",
        devices: "emulated",
        tpm: true,
        network: true,
        diskMib: 64,
      },
    });
    const going = await rent(job);
    await until(() => /UEFI|BdsDxe|Shell/.test(going.seen.stdout));
    const [pid] = await qemus(market.folder);
    const tree = (await run("ps", ["-o", "args", "--ppid", String(pid)])).stdout;
    expect(tree).toContain("tpm-tis");
  });

  it("boots a microvm", async () => {
    const job = await kernelMachine(await initrd("echo micro; reboot -f", []), {
      machine: "microvm",
      append: "console=ttyS0 quiet panic=-1 reboot=t",
    });
    const going = await rent(job);
    await until(() => going.seen.stdout.includes("micro"));
  });

  it("tells a panic of the guest from a crash of QEMU", async () => {
    const panics = await (await rent(await kernelMachine(await initrd("echo c > /proc/sysrq-trigger; sleep 60", ["pvpanic-mmio"])))).end();
    expect(panics.lease.end).toMatchObject({ reason: "guest-panic", blame: "customer" });
    const going = await rent(await kernelMachine(await initrd("echo up; sleep 600")));
    await until(() => going.seen.stdout.includes("up"));
    for (const pid of await qemus(market.folder)) process.kill(-pid, "SIGKILL");
    expect((await going.end()).lease.end).toMatchObject({ reason: "vm-crashed", blame: "nobody" });
  });

  it("pauses, goes on and starts again at its customer's word", async () => {
    const going = await rent(await kernelMachine(await initrd("i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done")));
    const link = going.session.machine;
    await until(() => going.seen.stdout.includes("tick 3"));
    await link.ask("pause");
    // it stands still: what it has printed is all there is, also after another machine has booted and ended
    const log = path.join(market.folder, "server/vm/machines", going.session.lease.slice(0, 24), "box/console.log");
    await until(async () => (await readFile(log, "utf8")).length === going.seen.stdout.length);
    const before = going.seen.stdout;
    await (await rent(await kernelMachine(await initrd("poweroff -f")))).end();
    expect(going.seen.stdout).toBe(before);
    await link.ask("resume");
    await until(() => going.seen.stdout.length > before.length);
    await link.ask("reboot");
    await until(() => going.seen.stdout.split("tick 1\r\n").length > 2);
  });

  it("takes what is typed on its console", async () => {
    const going = await rent(await kernelMachine(await initrd("exec sh </dev/ttyS0 >/dev/ttyS0 2>&1")));
    await until(() => going.seen.stdout.includes("# "));
    await going.session.machine.input(Buffer.from("echo $((6*7)); poweroff -f\n"));
    const end = await going.end();
    expect(end.stdout).toContain("42");
    expect(end.lease.end).toMatchObject({ reason: "completed" });
  });

  it("leaves what it printed to its customer, also when it was gone while no daemon ran", async () => {
    const cli = await cliHome(market);
    const ramdisk = path.join(market.folder, "printing");
    await writeFile(ramdisk, await initrd("echo printed before; sleep 600"));
    const words = ["--kernel", await kernel(), "--initrd", ramdisk, "--append", "console=ttyS0 quiet", "--mem", "192M", "--accel", "any"];
    const lease = (await cli.xeno("run", ...words, "--detach", "-q")).stdout.trim();
    await until(async () => (await cli.xeno("logs", lease)).stdout.includes("printed before"));
    await market.daemon.close();
    for (const pid of await qemus(market.folder)) process.kill(-pid, "SIGKILL");
    market.daemon = await market.startServer();
    await until(async () => (await cli.client.read("lease", { params: { id: lease } })).end !== null);
    expect((await cli.xeno("logs", lease)).stdout).toContain("printed before");
  });
});
