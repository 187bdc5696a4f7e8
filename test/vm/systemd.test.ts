/**
 * The units of `xeno serve --install` under a real systemd with control groups of version 2 alone: what holds a guest there, and that guests
 * outlive their daemon, whichever way it ends.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { boundsOf } from "../../packages/guests/src/worker/bounds.ts";
import { endless, moduleJob } from "../process/jobs.ts";
import { enrolIn, orderAndFollow, startMarket, until, type TestMarket } from "../process/market.ts";
import { machines, run } from "./support.ts";
import { startSystemdHost, type SystemdHost } from "./systemd-host.ts";

const MIB = 1024 * 1024;
const XENO = "/opt/xeno/packages/cli/bin/xeno";
const DATA = "/srv/xeno";
const GUESTS = "/sys/fs/cgroup/xenoserver.slice/xenoserver-guests.service";
const SIZES = { memoryMibMax: 16, diskMibMax: 1, outputMibMax: 1 };

machines("a server that systemd runs", () => {
  let market: TestMarket;
  let host: SystemdHost;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-unit-"));
    market = await startMarket();
    await market.daemon.close(); // its one server is the one under systemd
    host = await startSystemdHost(Number(new URL(market.customer.url).port));
  });
  afterAll(async () => {
    await host?.close();
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Throws where it fails. */
  async function sh(script: string): Promise<string> {
    const { code, stdout, stderr } = await host.sh(script);
    if (code !== 0) throw new Error(`${script}: ${stdout}${stderr}`);
    return stdout.trim();
  }
  const journal = (): Promise<string> => sh("journalctl --no-pager -o cat -u xenoserver");
  const count = async (words: string): Promise<number> => (await journal()).split(words).length - 1;
  /** Calls, and waits until the server is listed once more. */
  async function listedAfter(call: () => Promise<unknown>): Promise<void> {
    const before = await count('"listed"');
    await call();
    await until(async () => (await count('"listed"')) > before);
  }
  const systemctl = (words: string): Promise<string> => sh(`systemctl ${words}`);

  async function install(): Promise<void> {
    const at = path.join(folder, "server");
    await enrolIn(at, market.owner);
    const { stdout: packed } = await run("sh", ["-c", 'tar -C "$1" -cf - . | base64 -w0', "sh", at]);
    await sh(`mkdir -p ${DATA}/prepared && echo ${packed} | base64 -d | tar -xC ${DATA}
      cp /opt/xeno/prepared/* ${DATA}/prepared/
      printf 'pool = 0\\ndrain_seconds = 1\\n[vm]\\nenabled = false\\n' >${DATA}/xenoserver.toml`);
    const written = await sh(`HOME=/root ${XENO} serve --install --data ${DATA}`);
    expect(written.split("\n").map((file) => path.basename(file))).toEqual(["xenoserver.service", "xenoserver-guests.service"]);
    await systemctl("daemon-reload");
    await listedAfter(() => systemctl("enable --now xenoserver"));
  }

  /** The disk is a small one: by what a running daemon reads anew, it may be used up. */
  async function reload(): Promise<void> {
    await sh(`printf '[disk]\\nleft_free_gib = 0\\n' >>${DATA}/xenoserver.toml`);
    await systemctl("reload xenoserver");
    await until(async () => (await journal()).includes("xenoserver.toml reread: changed: disk.left_free_gib"));
  }

  async function running() {
    const lease = await orderAndFollow(market.customer, await moduleJob(await endless(), SIZES), {
      resources: { vcpu: 1, memoryMib: 256, diskMib: 64 },
      terms: "by-interval",
    });
    await until(() => lease.seen.stdout.includes("go"));
    return lease;
  }
  type Lease = Awaited<ReturnType<typeof running>>;
  /** Of the one guest that runs. */
  const held = async (file: string): Promise<string> => sh(`cat ${GUESTS}/xeno-guest-*/${file}`);

  describe("as root", () => {
    let lease: Lease;
    beforeAll(async () => {
      await install();
      await reload();
      lease = await running();
    });

    it("holds a guest to its lease by its group, beside the daemon's own", async () => {
      const bounds = boundsOf({ ...SIZES, breakpoints: null });
      expect(await held("memory.max")).toBe(String(Math.ceil(bounds.memoryBytesMax / MIB) * MIB));
      expect([await held("pids.max"), await held("cpu.weight"), await held("memory.swap.max")]).toEqual(["72", "100", "0"]);
      expect(Number(await held("pids.current"))).toBeGreaterThan(5); // it is in there
      const daemon = await sh("cat /proc/$(systemctl show -p MainPID --value xenoserver)/cgroup");
      expect(daemon).toBe("0::/xenoserver.slice/xenoserver.service");
    });

    it.each([
      ["is told to restart", "systemctl restart xenoserver"],
      ["is killed", "systemctl kill --kill-who=main -s KILL xenoserver"],
    ])("finds its guest again when it %s", async (_how, command) => {
      const before = await held("cgroup.procs");
      await listedAfter(() => sh(command));
      expect(await held("cgroup.procs")).toBe(before);
      expect(await held("memory.max")).not.toBe("max");
    });

    it("tells an end for memory as nobody's doing, after a restart, too", async () => {
      await sh(`for group in ${GUESTS}/xeno-guest-*; do echo 1M >$group/memory.max; done`); // what it has is more
      const { lease: ended } = await lease.end();
      expect(ended.end).toMatchObject({ reason: "vm-crashed", blame: "nobody" });
      await until(async () => (await sh(`ls ${GUESTS}`)).includes("xeno-guest") === false);
    });
  });
});
