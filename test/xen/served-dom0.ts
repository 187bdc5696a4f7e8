/** A market whose only server runs in dom0 of a real Xen, emulated: what suites of one matter each need. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { BuiltVm } from "@xenoservers/sdk";
import type { DomainKind } from "../../packages/guests/src/xen/domain-config.ts";
import { enrolIn, orderAndFollow, startMarket, type TestMarket } from "../process/market.ts";
import { untilThere } from "./waiting.ts";
import { run } from "../vm/support.ts";
import type { SystemdHost } from "../vm/systemd-host.ts";
import { MOVE_LISTEN, startDom0 } from "./dom0-host.ts";
import { sshDom0 } from "./ssh-dom0.ts";
import { XEN_HOST, wantedOnXen } from "./support.ts";

const PRODUCT = "/opt/xeno";
export const DATA = "/srv/xeno";
const XENO = `${PRODUCT}/packages/cli/bin/xeno`;
const LOG = `${DATA}.log`;
const settingsOf = (kind: DomainKind): string => `drain_seconds = 1\\n[xen]\\nguests = "${kind}"\\n[disk]\\nleft_free_gib = 0\\n`;

/** Of a server that takes leases of its owner's others. */
export const MOVES_TOML = `[move]\\nlisten = "${MOVE_LISTEN}"\\n`;
/** This machine, as dom0 has it. */
export const THIS_MACHINE = "10.0.2.2";

/** `market`: of another one's; `movePort`: of this machine, for others' moves to it; `processors`: that its domains have, one where absent. */
interface StartedWith {
  market?: TestMarket;
  movePort?: number;
  processors?: number;
}

type Order = Parameters<typeof wantedOnXen>[1];

export class ServedDom0 {
  readonly market: TestMarket;
  /** Of this machine, for what the test makes. */
  readonly folder: string;
  readonly #host: SystemdHost;
  readonly #with: StartedWith;

  private constructor(market: TestMarket, folder: string, host: SystemdHost, startedWith: StartedWith) {
    this.market = market;
    this.folder = folder;
    this.#host = host;
    this.#with = startedWith;
  }

  /** Its server is enrolled, and not started. */
  static async start(startedWith: StartedWith = {}): Promise<ServedDom0> {
    const folder = await mkdtemp(path.join(tmpdir(), "xeno-dom0-"));
    const market = startedWith.market ?? (await startMarket());
    if (!startedWith.market) await market.daemon.close(); // its servers are those in dom0
    const port = Number(new URL(market.customer.url).port);
    const host = await (XEN_HOST === undefined
      ? startDom0(port, { move: startedWith.movePort, processors: startedWith.processors })
      : sshDom0(XEN_HOST, { port, product: PRODUCT, data: DATA }));
    const dom0 = new ServedDom0(market, folder, host, startedWith);
    const at = path.join(folder, "server");
    await enrolIn(at, market.owner);
    const { stdout: packed } = await run("sh", ["-c", 'tar -C "$1" -cf - . | base64 -w0', "sh", at]);
    await dom0.sh(`mkdir -p ${DATA} && echo ${packed} | base64 -d | tar -xC ${DATA}; touch ${LOG}`);
    return dom0;
  }

  /** Throws where it fails. */
  async sh(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.#host.sh(script);
    if (code !== 0) throw new Error(`${script}: ${stdout}${stderr}`);
    return stdout.trim();
  }

  /** The same of what may take longer than an answer is waited for: it is looked now and then whether it is over. */
  async shAtLength(script: string): Promise<string> {
    const at = (await this.sh("mktemp -d /run/at-length.XXXXXX")).trim();
    await this.sh(`cat >${at}/script <<'END-OF-SCRIPT'
${script}
END-OF-SCRIPT
      { setsid sh ${at}/script >${at}/said 2>&1; echo $? >${at}/code.part; mv ${at}/code.part ${at}/code; } </dev/null >/dev/null 2>&1 &`);
    await untilThere(async () => (await this.sh(`test -e ${at}/code && echo over || true`)) === "over");
    const [code, said] = [await this.sh(`cat ${at}/code`), await this.sh(`cat ${at}/said`)];
    await this.sh(`rm -r ${at}`);
    if (code !== "0") throw new Error(`${script}: ${said}`);
    return said;
  }

  async #count(words: string): Promise<number> {
    return Number(await this.sh(`grep -c '${words}' ${LOG} || true`));
  }

  /** Lines of its server's log with those words. */
  logged(words: string): Promise<string> {
    return this.sh(`grep '${words}' ${LOG} || true`);
  }

  domains(): Promise<string> {
    return this.sh("xl list | awk 'NR > 2 {print $1}'");
  }

  /** No domain, and no device of one. `but`: a file of the test's own that a loop device reads. */
  async nothingIsLeft(but = "/nothing"): Promise<void> {
    await untilThere(async () => (await this.domains()) === "");
    const loops = `losetup --list --noheadings --output BACK-FILE | grep -vx ${but} || true`;
    await untilThere(async () => (await this.sh(`dmsetup info --columns --noheadings --options name; ${loops}`)) === "No devices found");
  }

  /** Waits until it is listed once more. `settings`: beside the usual; `kind`: of its domains (PV boots faster where all is emulated). */
  async serve(settings = "", kind: DomainKind = "pv"): Promise<void> {
    const before = await this.#count('"listed"');
    await this.sh(`printf '${settingsOf(kind)}${settings}' >${DATA}/xenoserver.toml
      HOME=/root setsid ${XENO} serve --data ${DATA} >>${LOG} 2>&1 & echo $! >/run/xeno.pid`);
    await untilThere(async () => (await this.#count('"listed"')) > before);
  }

  kill(): Promise<string> {
    return this.sh("kill -KILL -$(cat /run/xeno.pid); while kill -0 $(cat /run/xeno.pid) 2>/dev/null; do sleep 1; done");
  }

  /** As its owner types it; what that says. */
  async drainTo(other: ServedDom0): Promise<string> {
    const { server } = JSON.parse(await other.sh(`HOME=/root ${XENO} server status --json --data ${DATA}`)) as { server: string };
    return this.shAtLength(`HOME=/root ${XENO} server drain --to ${server}@${THIS_MACHINE}:${other.#with.movePort} --data ${DATA}`);
  }

  undrain(): Promise<string> {
    return this.sh(`HOME=/root ${XENO} server drain --undo --data ${DATA}`);
  }

  rent(job: BuiltVm, over: Order = {}): ReturnType<typeof orderAndFollow> {
    return orderAndFollow(this.market.customer, job, wantedOnXen(job, over));
  }

  /** As its customer stops it. */
  async stop(lease: string): Promise<void> {
    await this.market.customer.act("stop", { lease, party: this.market.customer.identity.party, reason: "enough" });
  }

  /** On the console of the one domain that there is. */
  type(words: string): Promise<string> {
    return this.sh(`printf '${words}\\r' >$(xenstore-read /local/domain/$(xl domid $(xl list | awk 'NR == 3 {print $1}'))/console/tty)`);
  }

  async close(): Promise<void> {
    if (process.env["XENO_XEN_LOG"]) console.log((await this.#host.sh(`cat ${LOG}`).catch(() => null))?.stdout);
    await this.#host.close();
    if (!this.#with.market) await this.market.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
