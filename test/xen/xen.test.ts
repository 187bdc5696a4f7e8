/**
 * Domains through the market on a real Xen hypervisor: this project's own server runs in dom0, a broker and a customer outside. Emulated,
 * so there is one host and one guest at a time.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { takeSnapshot, type BuiltVm } from "@xenoservers/sdk";
import { domainConfig } from "../../packages/guests/src/xen/domain-config.ts";
import { domainUuid } from "../../packages/guests/src/xen/domain-names.ts";
import { TRIAL_MEMORY_MIB, trialKernel } from "../../packages/guests/src/xen/trial-kernel.ts";
import { enrolIn, orderAndFollow, startMarket, until, type TestMarket } from "../process/market.ts";
import { run } from "../vm/support.ts";
import type { SystemdHost } from "../vm/systemd-host.ts";
import { startDom0 } from "./dom0-host.ts";
import { XENSTORE, bareDomain, diskOf, domain, domainOf, forkOf, imageOf, onXen, wantedOnXen } from "./support.ts";

const XENO = "/opt/xeno/packages/cli/bin/xeno";
const DATA = "/srv/xeno";
const LOG = "/srv/xeno.log";
/** Of less than half a minute of a small domain. */
const BUDGET_NANOS = 100_000n;
const tomlOf = (kind: string): string => `drain_seconds = 1\\n[xen]\\nguests = "${kind}"\\n[disk]\\nleft_free_gib = 0\\n`;

onXen("domains through the market", () => {
  let market: TestMarket;
  let host: SystemdHost;
  let folder: string;

  /** Throws where it fails. */
  async function sh(script: string): Promise<string> {
    const { code, stdout, stderr } = await host.sh(script);
    if (code !== 0) throw new Error(`${script}: ${stdout}${stderr}`);
    return stdout.trim();
  }
  const count = async (words: string): Promise<number> => Number(await sh(`grep -c '${words}' ${LOG} || true`));
  const domains = (): Promise<string> => sh("xl list | awk 'NR > 2 {print $1}'");
  const nothingIsLeft = async (): Promise<void> => {
    await until(async () => (await domains()) === "");
    await until(async () => (await sh("losetup --list")) === "");
  };

  /** Starts the server, and waits until it is listed once more. */
  async function serve(kind: string): Promise<void> {
    const before = await count('"listed"');
    await sh(`printf '${tomlOf(kind)}' >${DATA}/xenoserver.toml
      HOME=/root setsid ${XENO} serve --data ${DATA} >>${LOG} 2>&1 & echo $! >/run/xeno.pid`);
    await until(async () => (await count('"listed"')) > before);
  }
  const kill = (): Promise<string> =>
    sh("kill -KILL -$(cat /run/xeno.pid); while kill -0 $(cat /run/xeno.pid) 2>/dev/null; do sleep 1; done");
  const rent = (job: BuiltVm) => orderAndFollow(market.customer, job, wantedOnXen(job));
  const type = (words: string): Promise<string> =>
    sh(`printf '${words}\\r' >$(xenstore-read /local/domain/$(xl domid $(xl list | awk 'NR == 3 {print $1}'))/console/tty)`);

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-dom0-"));
    market = await startMarket();
    await market.daemon.close(); // its one server is the one in dom0
    host = await startDom0(Number(new URL(market.customer.url).port));
    const at = path.join(folder, "server");
    await enrolIn(at, market.owner);
    const { stdout: packed } = await run("sh", ["-c", 'tar -C "$1" -cf - . | base64 -w0', "sh", at]);
    await sh(`mkdir -p ${DATA} && echo ${packed} | base64 -d | tar -xC ${DATA}; touch ${LOG}`);
  });
  afterAll(async () => {
    if (process.env["XENO_XEN_LOG"]) console.log((await host?.sh(`cat ${LOG}`).catch(() => null))?.stdout);
    await host?.close();
    await market?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const boots = (): void =>
    void it("boots a customer's kernel, shows its console, bills its time and leaves nothing", async () => {
      const append = `console=hvc0 quiet panic=-1 x="a b\\"] kernel="/etc/shadow`;
      const job = await domain("echo hello from $(uname -s), $(cat /sys/hypervisor/type), $(cat /proc/cmdline); poweroff -f", { append });
      const { stdout, lease } = await (await rent(job)).end();
      expect(stdout).toContain(`hello from Linux, xen, ${append}`);
      expect(lease.end).toMatchObject({ reason: "completed", exitCode: 0, blame: "nobody" });
      expect(BigInt(lease.end!.dueNanos)).toBeGreaterThan(0n);
      await nothingIsLeft();
    });

  describe("a server of PVH domains", () => {
    beforeAll(() => serve("pvh"));
    afterAll(kill);
    boots();
  });

  describe("a server of PV domains", () => {
    beforeAll(() => serve("pv"));
    afterAll(kill);
    boots();

    it("goes on in a fork from where it was kept, with its disk as it was then and bytes that no other has", async () => {
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
      const first = await rent(job);
      await until(() => first.seen.stdout.includes("ready"));
      const { snapshot } = await takeSnapshot(first);
      const say = async (to: typeof first, word: string): Promise<void> => to.session.machine.input(Buffer.from(`${word}\r`));
      await say(first, "change");
      await until(() => first.seen.stdout.includes("did change"));
      await say(first, "end"); // this host has room for one at a time
      const firstEnd = await first.end();
      const second = await rent(forkOf(job, snapshot));
      await until(() => second.seen.states.includes("running"));
      await say(second, "end");
      const secondEnd = await second.end();
      expect(firstEnd.stdout).toContain("disk: over, seed: ENOENT");
      expect(secondEnd.stdout).toMatch(/disk: kept, seed: [0-9a-f]{64}/);
      expect(secondEnd.stdout).not.toContain("ready");
      for (const { lease } of [firstEnd, secondEnd]) expect(lease.end).toMatchObject({ reason: "completed", exitCode: 0 });
      await nothingIsLeft();
    });

    it("gives nothing of others' in xenstore, and no more of it than is a domain's share", async () => {
      const job = await domain(`${XENSTORE}
        echo "other: $(ask 2 /local/domain/0/backend), $(ask 11 /local/domain/0/name mine), $(ask 11 /local/domain/$(ask 2 domid)/name mine)."
        n=0; until e=$(ask 11 data/$n x); case $e in *E[A-Z]*) true;; *) false;; esac; do n=$((n+1)); [ $n -lt 5000 ] || break; done
        echo "nodes: $n $e."
        n=0; until e=$(ask 6); case $e in *E[A-Z]*) true;; *) false;; esac; do n=$((n+1)); [ $n -lt 500 ] || break; done
        echo "transactions: $n $e."
        poweroff -f`);
      const { stdout, lease } = await (await rent(job)).end();
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
      await nothingIsLeft();
    });

    it("has its hypervisor's tables bounded, whatever its kernel asks for", async () => {
      const { lease } = await (await rent(await bareDomain(folder, "floods.S"))).end();
      expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
      await nothingIsLeft();
    });

    it("ends when its budget does", async () => {
      const job = await domain("while :; do :; done");
      const { lease } = await (await orderAndFollow(market.customer, job, wantedOnXen(job, { budgetNanos: BUDGET_NANOS }))).end();
      expect(lease.end).toMatchObject({ reason: "budget", blame: "customer" });
      expect(BigInt(lease.end!.dueNanos)).toBeLessThanOrEqual(BUDGET_NANOS);
      await nothingIsLeft();
    });

    it("finds its domain again after it was killed, hears what is typed, and says a panic as the guest's", async () => {
      const going = await rent(
        await domain("echo ready; while read line; do echo heard $line; [ $line = crash ] && echo c >/proc/sysrq-trigger; done"),
      );
      await until(() => going.seen.stdout.includes("ready"));
      const before = await domains();
      expect(before).toMatch(/^xeno-[0-9a-f]{24}$/);
      await kill();
      expect(await domains()).toBe(before);
      await type("while nobody follows");
      await stray();
      await serve("pv");
      expect((await domains()).split("\n").toSorted()).toEqual([before, "xeno-somebody-elses"].toSorted());
      await sh("xl destroy xeno-somebody-elses");
      await type("crash");
      const { stdout, lease } = await going.end();
      expect(stdout.match(/heard [a-z ]+/g)).toEqual(["heard while nobody follows", "heard crash"]);
      expect(lease.end).toMatchObject({ reason: "guest-panic", blame: "customer" });
      await nothingIsLeft();
    });

    /** Two domains that no lease has: one bears the server's mark, the other only a name like its own. */
    async function stray(): Promise<void> {
      const mark = await sh(`cat ${DATA}/xen/domains/mark`);
      const name = `xeno-${randomBytes(12).toString("hex")}`;
      const other = "xeno-somebody-elses";
      const plan = { kind: "pv", kernel: "/run/trial", ramdisk: null, commandLine: "", memoryMib: TRIAL_MEMORY_MIB, vcpu: 1 } as const;
      const made = [
        domainConfig({ ...plan, name, uuid: domainUuid(mark, name) }, []),
        domainConfig({ ...plan, name: other, uuid: randomUUID() }, []),
      ];
      await sh(`echo ${trialKernel().toString("base64")} | base64 -d >/run/trial`);
      for (const config of made)
        await sh(`echo ${Buffer.from(config).toString("base64")} | base64 -d >/run/stray.cfg && xl create -e -p -q /run/stray.cfg`);
    }

    it("goes on after a restart inside, with the disk as it was left", async () => {
      const script =
        "if grep -q marked /dev/xvda; then echo found $(head -c 6 /dev/xvda); poweroff -f; fi; printf marked >/dev/xvda; sync; echo first; reboot -f";
      const { stdout, lease } = await (await rent(await domain(script, { diskMib: 16 }))).end();
      expect(stdout).toMatch(/first[^]*found marked/);
      expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
      await nothingIsLeft();
    });

    it("boots an unmodified disk image by its own GRUB", async () => {
      const job = await diskOf("echo from the disk, $(head -c 4096 /dev/xvda | tail -c 2 | wc -c) bytes; poweroff -f");
      const { stdout, lease } = await (await rent(job)).end();
      expect(stdout).toContain("GRUB is here");
      expect(stdout).toContain("from the disk, 2 bytes");
      expect(lease.end).toMatchObject({ reason: "completed", blame: "nobody" });
      await nothingIsLeft();
    });

    it("runs an OCI image with its inputs, and brings both streams, its exit code and its files back", async () => {
      const script =
        "cat /in/file; ls /data; id -u; hostname; cat /proc/1/comm; echo to stderr >&2; printf '\\020\\0202\\0201'; mkdir /out/d; echo kept >/out/d/f; seq 5000; exit 9";
      const job = await imageOf(folder, script);
      const { stdout, stderr, files, lease } = await (await rent(job)).end();
      expect(stdout).toBe(
        "an inputkept\nnew\n33\nxeno\nsh\n\x10\x102\x101" + Array.from({ length: 5_000 }, (_, i) => `${i + 1}\n`).join(""),
      );
      expect(stderr).toBe("to stderr\n");
      expect(lease.end).toMatchObject({ reason: "completed", exitCode: 9, blame: "nobody" });
      expect(files).toEqual({ "out/d/f": "kept\n" });
      await nothingIsLeft();
    });

    it("asks an image's program to end when it is stopped, and brings back what it left", async () => {
      const going = await rent(
        await imageOf(folder, "trap 'echo bye; echo left >/out/f; exit 3' TERM; echo ready; while :; do sleep 1; done"),
      );
      await until(() => going.seen.stdout.includes("ready"));
      const { lease } = going.session;
      await market.customer.act("stop", { lease, party: market.customer.identity.party, reason: "enough" });
      const ended = await going.end();
      expect(ended.lease.end).toMatchObject({ reason: "customer-stop", blame: "customer" });
      expect(ended.stdout).toBe("ready\nbye\n");
      expect(ended.files).toEqual({ "out/f": "left\n" });
      await nothingIsLeft();
    });

    it("ends a flood of its console at what was ordered", async () => {
      const { stdout, lease } = await (await rent(await domain("yes flood", { outputMibMax: 1 }))).end();
      expect(lease.end).toMatchObject({ reason: "output-limit", blame: "customer" });
      expect(stdout.length).toBeLessThanOrEqual(1024 * 1024);
      await nothingIsLeft();
    });

    it("stands still while it is paused, and ends when it is stopped", async () => {
      const going = await rent(await domain("i=0; while :; do i=$((i+1)); echo tick $i; sleep 1; done"));
      await until(() => going.seen.stdout.includes("tick 1"));
      const { lease } = going.session;
      const { party } = market.customer.identity;
      await going.session.machine.ask("pause");
      await until(async () => (await sh("xl list | awk 'NR > 2 {print $5}'")).includes("p"));
      await going.session.machine.ask("resume");
      const before = going.seen.stdout.length;
      await until(() => going.seen.stdout.length > before);
      await market.customer.act("stop", { lease, party, reason: "enough" });
      expect((await going.end()).lease.end).toMatchObject({ reason: "customer-stop", blame: "customer" });
      await nothingIsLeft();
    });

    it("says that it is the customer's files that Xen makes no domain of", async () => {
      const broken = path.join(folder, "kernel");
      await writeFile(broken, Buffer.concat([Buffer.from("\x7fELF\x02\x01\x01", "latin1"), randomBytes(65_536)]));
      const { lease } = await (await rent(await domainOf(broken, broken))).end();
      expect(lease.end).toMatchObject({ reason: "image-refused", blame: "customer" });
      await nothingIsLeft();
    });
  });
});
