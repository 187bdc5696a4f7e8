/**
 * Domains through the market on a real Xen hypervisor: this project's own server runs in dom0, a broker and a customer outside. Emulated,
 * so there is one host and one guest at a time.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { enrolIn, orderAndFollow, startMarket, until, type TestMarket } from "../process/market.ts";
import { run } from "../vm/support.ts";
import type { SystemdHost } from "../vm/systemd-host.ts";
import { startDom0 } from "./dom0-host.ts";
import { domain, onXen, wantedOnXen } from "./support.ts";

const XENO = "/opt/xeno/packages/cli/bin/xeno";
const DATA = "/srv/xeno";
const LOG = "/srv/xeno.log";

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

  /** Starts the server, and waits until it is listed once more. */
  async function serve(toml: string): Promise<void> {
    const before = await count('"listed"');
    await sh(`printf '${toml}' >${DATA}/xenoserver.toml
      HOME=/root setsid ${XENO} serve --data ${DATA} >>${LOG} 2>&1 & echo $! >/run/xeno.pid`);
    await until(async () => (await count('"listed"')) > before);
  }
  const kill = (): Promise<string> =>
    sh("kill -KILL -$(cat /run/xeno.pid); while kill -0 $(cat /run/xeno.pid) 2>/dev/null; do sleep 1; done");

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

  describe.each(["pvh", "pv"] as const)("%s", (kind) => {
    beforeAll(() => serve(`drain_seconds = 1\\n[xen]\\nguests = "${kind}"\\n[disk]\\nleft_free_gib = 0\\n`));
    afterAll(kill);

    it("boots a customer's kernel, shows its console, bills its time and leaves nothing", async () => {
      const job = await domain("echo hello from $(uname -s), $(cat /sys/hypervisor/type), $(cat /proc/cmdline); poweroff -f", {
        append: `console=hvc0 quiet panic=-1 x="a b\\"]\nkernel="/etc/shadow`.replace("\n", " "),
      });
      const { stdout, lease } = await (await orderAndFollow(market.customer, job, wantedOnXen(job))).end();
      expect(stdout).toContain("hello from Linux, xen, console=hvc0 quiet");
      expect(lease.end).toMatchObject({ reason: "completed", exitCode: 0, blame: "nobody" });
      expect(BigInt(lease.end!.dueNanos)).toBeGreaterThan(0n);
      await until(async () => (await domains()) === "");
    });

    it("finds its domain again after it was killed, hears what is typed, and says a panic as the guest's", async () => {
      const job = await domain("echo ready; while read line; do echo heard $line; [ $line = crash ] && echo c >/proc/sysrq-trigger; done");
      const going = await orderAndFollow(market.customer, job, wantedOnXen(job));
      await until(() => going.seen.stdout.includes("ready"));
      const before = await domains();
      expect(before).toMatch(/^xeno-[0-9a-f]{24}$/);
      await kill();
      expect(await domains()).toBe(before);
      await serve(`drain_seconds = 1\\n[xen]\\nguests = "${kind}"\\n[disk]\\nleft_free_gib = 0\\n`);
      expect(await domains()).toBe(before);
      await sh(`printf 'crash\\r' >$(xenstore-read /local/domain/$(xl domid ${before})/console/tty)`);
      const { stdout, lease } = await going.end();
      expect(stdout).toContain("heard crash");
      expect(lease.end).toMatchObject({ reason: "guest-panic", blame: "customer" });
      await until(async () => (await domains()) === "");
    });
  });
});
