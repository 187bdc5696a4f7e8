/**
 * Domains through the market on a real Xen hypervisor: this project's own server runs in dom0, a broker and a customer outside. Emulated,
 * so there is one host and one guest at a time.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { takeSnapshot } from "@xenoservers/sdk";
import { domainConfig } from "../../packages/guests/src/xen/domain-config.ts";
import { domainUuid } from "../../packages/guests/src/xen/domain-names.ts";
import { TRIAL_MEMORY_MIB, trialKernel } from "../../packages/guests/src/xen/trial-kernel.ts";
import { until, untilThere } from "./waiting.ts";
import { DATA, ServedDom0 } from "./served-dom0.ts";
import { XENSTORE, bareDomain, diskOf, domain, domainOf, forkOf, imageOf, onXen } from "./support.ts";

/** Of less than half a minute of a small domain. */
const BUDGET_NANOS = 100_000n;

onXen("domains through the market", () => {
  let dom0: ServedDom0;
  beforeAll(async () => {
    dom0 = await ServedDom0.start();
  });
  afterAll(() => dom0?.close());

  const boots = (): void =>
    void it("boots a customer's kernel, shows its console, bills its time and leaves nothing", async () => {
      const append = `console=hvc0 quiet panic=-1 x="a b\\"] kernel="/etc/shadow`;
      const job = await domain("echo hello from $(uname -s), $(cat /sys/hypervisor/type), $(cat /proc/cmdline); poweroff -f", { append });
      const { stdout, lease } = await (await dom0.rent(job)).end();
      expect(stdout).toContain(`hello from Linux, xen, ${append}`);
      expect(lease.end).toMatchObject({ reason: "completed", exitCode: 0, blame: "nobody" });
      expect(BigInt(lease.end!.dueNanos)).toBeGreaterThan(0n);
      await dom0.nothingIsLeft();
    });

  const forks = (): void =>
    void it("goes on in a fork from where it was kept, with its disk as it was then and bytes that no other has", async () => {
      const job = await domain(
        `${XENSTORE}
        seed() { ask 2 vm-data/seed; }
        printf kept >/dev/xvda; sync; echo ready
        while read word; do
          case $word in
            change) printf over >/dev/xvda; sync;;
            end) echo "disk: $(head -c 4 /dev/xvda), seed: $(seed)."; poweroff -f;;
          esac
          echo did $word
        done`,
        { diskMib: 16 },
      );
      const first = await dom0.rent(job);
      await until(() => first.seen.stdout.includes("ready"));
      const { snapshot } = await takeSnapshot(first);
      const say = async (to: typeof first, word: string): Promise<void> => to.session.machine.input(Buffer.from(`${word}\r`));
      await say(first, "change");
      await until(() => first.seen.stdout.includes("did change"));
      await say(first, "end"); // this host has room for one at a time
      const firstEnd = await first.end();
      const second = await dom0.rent(forkOf(job, snapshot));
      await until(() => second.seen.states.includes("running"));
      await say(second, "end");
      const secondEnd = await second.end();
      expect(firstEnd.stdout).toContain("disk: over, seed: ENOENT");
      expect(secondEnd.stdout).toMatch(/disk: kept, seed: [0-9a-f]{64}/);
      expect(secondEnd.stdout).not.toContain("ready");
      for (const { lease } of [firstEnd, secondEnd]) expect(lease.end).toMatchObject({ reason: "completed", exitCode: 0 });
      await dom0.nothingIsLeft();
    });

  describe("a server of PVH domains", () => {
    beforeAll(() => dom0.serve("", "pvh"));
    afterAll(() => dom0.kill());
    boots();
    forks();
  });

  describe("a server of PV domains", () => {
    beforeAll(() => dom0.serve());
    afterAll(() => dom0.kill());
    boots();

    forks();

    it("gives nothing of others' in xenstore, and no more of it than is a domain's share", async () => {
      const job = await domain(`${XENSTORE}
        echo "other: $(ask 2 /local/domain/0/backend), $(ask 11 /local/domain/0/name mine), $(ask 11 /local/domain/$(ask 2 domid)/name mine)."
        n=0; until e=$(ask 11 data/$n x); case $e in *E[A-Z]*) true;; *) false;; esac; do n=$((n+1)); [ $n -lt 5000 ] || break; done
        echo "nodes: $n $e."
        n=0; until e=$(ask 6); case $e in *E[A-Z]*) true;; *) false;; esac; do n=$((n+1)); [ $n -lt 500 ] || break; done
        echo "transactions: $n $e."
        poweroff -f`);
      const { stdout, lease } = await (await dom0.rent(job)).end();
      expect(stdout).toMatch(/other: EACCES ?, EACCES ?, EACCES ?\./);
      for (const [what, max] of [
        ["nodes", 2_000],
        ["transactions", 50],
      ] as const) {
        const made = Number(new RegExp(`${what}: (\\d+) ENOSPC`).exec(stdout)?.[1]);
        expect(made, stdout).toBeGreaterThan(0);
        expect(made, stdout).toBeLessThan(max);
      }
      expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
      await dom0.nothingIsLeft();
    });

    it("has its hypervisor's tables bounded, whatever its kernel asks for", async () => {
      const { lease } = await (await dom0.rent(await bareDomain(dom0.folder, "floods.S"))).end();
      expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
      await dom0.nothingIsLeft();
    });

    it("ends as its guest's doing with a number that no reason has, and is seen to: xl lists it with a question mark", async () => {
      const { lease } = await (await dom0.rent(await bareDomain(dom0.folder, "reason.S"))).end();
      expect(lease.end).toMatchObject({ reason: "guest-panic", blame: "customer" });
      await dom0.nothingIsLeft();
    });

    it("ends when its budget does", async () => {
      const going = await dom0.rent(await domain("while :; do :; done"), { budgetNanos: BUDGET_NANOS });
      const { lease } = await going.end();
      expect(lease.end).toMatchObject({ reason: "budget", blame: "customer" });
      expect(BigInt(lease.end!.dueNanos)).toBeLessThanOrEqual(BUDGET_NANOS);
      await dom0.nothingIsLeft();
    });

    it("finds its domain again after it was killed, hears what is typed, and says a panic as the guest's", async () => {
      const going = await dom0.rent(
        await domain("echo ready; while read line; do echo heard $line; [ $line = crash ] && echo c >/proc/sysrq-trigger; done"),
      );
      await until(() => going.seen.stdout.includes("ready"));
      const before = await dom0.domains();
      expect(before).toMatch(/^xeno-[0-9a-f]{24}$/);
      await dom0.kill();
      expect(await dom0.domains()).toBe(before);
      await dom0.type("while nobody follows");
      await stray();
      await dom0.serve();
      expect((await dom0.domains()).split("\n").toSorted()).toEqual([before, "xeno-somebody-elses"].toSorted());
      await dom0.sh("xl destroy xeno-somebody-elses");
      await dom0.type("crash");
      const { stdout, lease } = await going.end();
      expect(stdout.match(/heard [a-z ]+/g)).toEqual(["heard while nobody follows", "heard crash"]);
      expect(lease.end).toMatchObject({ reason: "guest-panic", blame: "customer" });
      await dom0.nothingIsLeft();
    });

    /** Two domains that no lease has: one bears the server's mark, the other only a name like its own. */
    async function stray(): Promise<void> {
      const mark = await dom0.sh(`cat ${DATA}/xen/domains/mark`);
      const name = `xeno-${randomBytes(12).toString("hex")}`;
      const other = "xeno-somebody-elses";
      const plan = { kind: "pv", kernel: "/run/trial", ramdisk: null, commandLine: "", memoryMib: TRIAL_MEMORY_MIB, vcpu: 1 } as const;
      const made = [
        domainConfig({ ...plan, name, uuid: domainUuid(mark, name) }, []),
        domainConfig({ ...plan, name: other, uuid: randomUUID() }, []),
      ];
      await dom0.sh(`echo ${trialKernel().toString("base64")} | base64 -d >/run/trial`);
      for (const config of made)
        await dom0.sh(`echo ${Buffer.from(config).toString("base64")} | base64 -d >/run/stray.cfg && xl create -e -p -q /run/stray.cfg`);
    }

    it("goes on after a restart inside, with the disk as it was left", async () => {
      const script =
        "if grep -q marked /dev/xvda; then echo found $(head -c 6 /dev/xvda); poweroff -f; fi; printf marked >/dev/xvda; sync; echo first; reboot -f";
      const { stdout, lease } = await (await dom0.rent(await domain(script, { diskMib: 16 }))).end();
      expect(stdout).toMatch(/first[^]*found marked/);
      expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
      await dom0.nothingIsLeft();
    });

    it("boots an unmodified disk image by its own GRUB", async () => {
      const job = await diskOf("echo from the disk, $(head -c 4096 /dev/xvda | tail -c 2 | wc -c) bytes; poweroff -f");
      const { stdout, lease } = await (await dom0.rent(job)).end();
      expect(stdout).toContain("GRUB is here");
      expect(stdout).toContain("from the disk, 2 bytes");
      expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
      await dom0.nothingIsLeft();
    });

    it("runs an OCI image with its inputs, and brings both streams, its exit code and its files back", async () => {
      const script =
        "cat /in/file; ls /data; id -u; hostname; cat /proc/1/comm; echo to stderr >&2; printf '\\020\\0202\\0201'; mkdir /out/d; echo kept >/out/d/f; seq 5000; exit 9";
      const job = await imageOf(dom0.folder, script);
      const { stdout, stderr, files, lease } = await (await dom0.rent(job)).end();
      expect(stdout).toBe(
        "an inputkept\nnew\n33\nxeno\nsh\n\x10\x102\x101" + Array.from({ length: 5_000 }, (_, i) => `${i + 1}\n`).join(""),
      );
      expect(stderr).toBe("to stderr\n");
      expect(lease.end).toMatchObject({ reason: "completed", exitCode: 9, blame: "nobody" });
      expect(files).toEqual({ "out/d/f": "kept\n" });
      await dom0.nothingIsLeft();
    });

    it("asks an image's program to end when it is stopped, and brings back what it left", async () => {
      const going = await dom0.rent(
        await imageOf(dom0.folder, "trap 'echo bye; echo left >/out/f; exit 3' TERM; echo ready; while :; do sleep 1; done"),
      );
      await until(() => going.seen.stdout.includes("ready"));
      await dom0.stop(going.session.lease);
      const ended = await going.end();
      expect(ended.lease.end).toMatchObject({ reason: "customer-stop", blame: "customer" });
      expect(ended.stdout).toBe("ready\nbye\n");
      expect(ended.files).toEqual({ "out/f": "left\n" });
      await dom0.nothingIsLeft();
    });

    it("ends a flood of its console at what was ordered", async () => {
      const { stdout, lease } = await (await dom0.rent(await domain("yes flood", { outputMibMax: 1 }))).end();
      expect(lease.end).toMatchObject({ reason: "output-limit", blame: "customer" });
      expect(stdout.length).toBeLessThanOrEqual(1024 * 1024);
      await dom0.nothingIsLeft();
    });

    it("stands still while it is paused, and ends when it is stopped", async () => {
      const going = await dom0.rent(await domain("i=0; while :; do i=$((i+1)); echo tick $i; sleep 1; done"));
      await until(() => going.seen.stdout.includes("tick 1"));
      await going.session.machine.ask("pause");
      await untilThere(async () => (await dom0.sh("xl list | awk 'NR > 2 {print $5}'")).includes("p"));
      await going.session.machine.ask("resume");
      const before = going.seen.stdout.length;
      await until(() => going.seen.stdout.length > before);
      await dom0.stop(going.session.lease);
      expect((await going.end()).lease.end).toMatchObject({ reason: "customer-stop", blame: "customer" });
      await dom0.nothingIsLeft();
    });

    it("says that it is the customer's files that Xen makes no domain of", async () => {
      const broken = path.join(dom0.folder, "kernel");
      await writeFile(broken, Buffer.concat([Buffer.from("\x7fELF\x02\x01\x01", "latin1"), randomBytes(65_536)]));
      const { lease } = await (await dom0.rent(await domainOf(broken, broken))).end();
      expect(lease.end).toMatchObject({ reason: "image-refused", blame: "customer" });
      await dom0.nothingIsLeft();
    });
  });
});
