/**
 * The units of `xeno serve --install` under a real systemd with control groups of version 2 alone, the machine's own and that of a user who
 * is no root: what holds a guest there, and that guests outlive their daemon, whichever way it ends.
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
/** Of a user without root; the first that a Debian adds. */
const UID = 1_000;
const USER_MANAGER = `/user.slice/user-${UID}.slice/user@${UID}.service`;

interface Who {
  data: string;
  home: string;
  /** The group of its systemd. */
  manager: string;
  /** Before a command of its own. */
  as: string;
  systemctl: string;
  journal: string;
}
const ROOT: Who = {
  data: "/srv/xeno",
  home: "/root",
  manager: "",
  as: "env HOME=/root",
  systemctl: "systemctl",
  journal: "journalctl --no-pager -o cat -u xenoserver",
};
const AS_OLGA = `runuser -u olga -- env HOME=/home/olga XDG_RUNTIME_DIR=/run/user/${UID}`;
const OLGA: Who = {
  data: "/home/olga/xeno",
  home: "/home/olga",
  manager: USER_MANAGER,
  as: AS_OLGA,
  systemctl: `${AS_OLGA} systemctl --user`,
  journal: `journalctl --no-pager -o cat _UID=${UID} _SYSTEMD_USER_UNIT=xenoserver.service`,
};
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
  /** Calls, and waits in there until the server is listed once more: a question from here costs the machine more than the wait. */
  const listedAfter = (who: Who, call: string): Promise<string> =>
    sh(`listed() { ${who.journal} | grep -c '"listed"'; }
      before=$(listed)
      ${call} || exit
      until [ "$(listed)" -gt "$before" ]; do sleep 1; done`);

  async function install(who: Who): Promise<void> {
    const at = path.join(folder, path.basename(who.home));
    await enrolIn(at, market.owner);
    const { stdout: packed } = await run("sh", ["-c", 'tar -C "$1" -cf - . | base64 -w0', "sh", at]);
    await sh(`mkdir -p ${who.data}/prepared && echo ${packed} | base64 -d | tar -xC ${who.data}
      cp /opt/xeno/prepared/* ${who.data}/prepared/
      printf 'pool = 0\\ndrain_seconds = 1\\n[vm]\\nenabled = false\\n' >${who.data}/xenoserver.toml
      chown -R --reference=${who.home} ${who.data}`);
    const written = await sh(`${who.as} ${XENO} serve --install --data ${who.data}`);
    expect(written.split("\n").map((file) => path.basename(file))).toEqual(["xenoserver.service", "xenoserver-guests.service"]);
    await sh(`${who.systemctl} daemon-reload`);
    await listedAfter(who, `${who.systemctl} enable --now xenoserver`);
  }

  /** The disk is a small one: by what a running daemon reads anew, it may be used up. */
  async function reload(who: Who): Promise<void> {
    await sh(`printf '[disk]\\nleft_free_gib = 0\\n' >>${who.data}/xenoserver.toml`);
    await sh(`${who.systemctl} reload xenoserver`);
    await until(async () => (await sh(who.journal)).includes("xenoserver.toml reread: changed: disk.left_free_gib"));
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
  describe.each([
    ["as root", ROOT],
    ["for a user without root", OLGA],
  ])("%s", (_who, who) => {
    const slice = `${who.manager}/xenoserver.slice`;
    const guests = `/sys/fs/cgroup${slice}/xenoserver-guests.service`;
    /** Of the one guest that runs. */
    const held = async (file: string): Promise<string> => sh(`cat ${guests}/xeno-guest-*/${file}`);
    let lease: Lease;
    beforeAll(async () => {
      // its systemd runs without a login
      if (who === OLGA)
        await sh(`set -e
          useradd --create-home --uid ${UID} olga
          systemctl start dbus
          loginctl enable-linger olga
          systemctl start user@${UID}
          test -S /run/user/${UID}/systemd/private`);
      await install(who);
      await reload(who);
      lease = await running();
    });
    afterAll(() => sh(`${who.systemctl} stop xenoserver-guests xenoserver`));

    it("holds a guest to its lease by its group, beside the daemon's own", async () => {
      const bounds = boundsOf({ ...SIZES, breakpoints: null });
      expect(await held("memory.max")).toBe(String(Math.ceil(bounds.memoryBytesMax / MIB) * MIB));
      expect([await held("pids.max"), await held("cpu.weight"), await held("memory.swap.max")]).toEqual(["72", "100", "0"]);
      expect(Number(await held("pids.current"))).toBeGreaterThan(5); // it is in there
      const daemon = await sh(`cat /proc/$(${who.systemctl} show -p MainPID --value xenoserver)/cgroup`);
      expect(daemon).toBe(`0::${slice}/xenoserver.service`);
    });

    it.each([
      ["is told to restart", "restart xenoserver"],
      ["is killed", "kill --kill-who=main -s KILL xenoserver"],
    ])("finds its guest again when it %s", async (_how, command) => {
      const before = await held("cgroup.procs");
      await listedAfter(who, `${who.systemctl} ${command}`);
      expect(await held("cgroup.procs")).toBe(before);
      expect(await held("memory.max")).not.toBe("max");
    });

    it("tells an end for memory as nobody's doing, after a restart, too", async () => {
      await sh(`for group in ${guests}/xeno-guest-*; do echo 1M >$group/memory.max; done`); // what it has is more
      const { lease: ended } = await lease.end();
      expect(ended.end).toMatchObject({ reason: "vm-crashed", blame: "nobody" });
      await until(async () => (await sh(`ls ${guests}`)).includes("xeno-guest") === false);
    });
  });
});
