/** `xeno serve`: an owner's machine. */
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { costPerHourNanos } from "@xenoservers/market";
import { pino } from "pino";
import { home } from "../input/home.ts";
import { ask, ownFolder } from "../local/local-socket.ts";
import { UserError, duration, mib, money, print, printJson, say, shortId, table, when } from "../output/ui.ts";
import { untilTold } from "./broker.ts";

export interface ServeOptions {
  data?: string;
  config?: string;
  enrol?: string;
  check?: boolean;
  install?: boolean;
  json?: boolean;
}

export const serverFolder = (data: string | undefined): string => path.resolve(data ?? path.join(home.data, "server"));

export async function serve(options: ServeOptions): Promise<void> {
  const folder = serverFolder(options.data);
  const configFile = options.config ?? path.join(folder, "xenoserver.toml");
  const { enrol, readIdentity, startDaemon } = await import("@xenoservers/xenoserver");
  if (options.check) return checkMachine(folder, configFile, options.json === true);
  if (options.install) return install(folder, configFile);
  if (options.enrol !== undefined) {
    const identity = await enrol(folder, options.enrol, hostname().slice(0, 64) || "server");
    say(`enrolled for ${identity.owner} at ${identity.url}; this machine holds no key that can pay out`);
  }
  if (!(await readIdentity(folder)))
    throw new UserError("this machine is not enrolled; run `xeno serve --enrol TOKEN` with a token from `xeno token create --server`");
  const logger = pino({ level: process.env["LOG_LEVEL"] ?? "info" }, pino.destination({ dest: 2, sync: true }));
  let stopping: (how: string) => void = () => {};
  const told = new Promise<string>((resolve) => (stopping = resolve));
  let daemon: Awaited<ReturnType<typeof startDaemon>> | null = null;
  const lock = await ownFolder(folder, "a xenoserver", async ({ command }) => {
    if (!daemon) return { state: "starting" };
    if (command === "drain") void daemon.server.drain();
    else if (command === "stop-now") await daemon.server.stopNow();
    else if (command === "stop" || command === "retire") await daemon.server.drain();
    if (command === "stop" || command === "stop-now" || command === "retire") stopping(String(command));
    return { ...daemon.server.state, cpuScore: daemon.test.cpuScore };
  });
  daemon = await startDaemon({
    folder,
    configFile,
    log: (what, facts) => logger.info(facts, what),
    onRefused: (why) => {
      say(`the broker refused this server: ${why}`);
      stopping("refused");
    },
  });
  print(options.json ? JSON.stringify({ server: daemon.server.id }) : `${daemon.server.id} serves ${daemon.identity.url}`);
  const machines = daemon.test.drivers.find(({ name }) => name === "qemu");
  if (machines) say(`machines: ${machines.present ? "" : "none. "}${machines.reason}`);
  const how = await Promise.race([untilTold(), told]);
  say(how === "SIGTERM" || how === "SIGINT" ? `draining for at most ${daemon.config.drain_seconds} s; guests run on and are found again` : `ending: ${how}`);
  if (how === "SIGTERM" || how === "SIGINT")
    await Promise.race([daemon.server.drain(), new Promise((resolve) => setTimeout(resolve, daemon.config.drain_seconds * 1_000)), untilTold()]);
  lock.close();
  await daemon.close();
}

/** What strangers could reach, how strong the sandbox is, what is withheld, what it might earn: before anything is listed. */
async function checkMachine(folder: string, configFile: string, json: boolean): Promise<void> {
  const { openQemuHost } = await import("@xenoservers/guests");
  const { capacityOf, createWasmDriver, priceOf, qemuState, readServerConfig, selfTest, wasmState } = await import("@xenoservers/xenoserver");
  const scratch = await mkdtemp(path.join(tmpdir(), "xeno-check-"));
  try {
    const config = await readServerConfig(configFile);
    const driver = await createWasmDriver({ folder: scratch, cache: path.join(home.data, "prepared"), poolSize: 0, inUse: [] });
    const qemu = config.vm.enabled
      ? await openQemuHost(path.join(home.data, "prepared"))
      : { ok: false as const, why: "vm.enabled is false in xenoserver.toml" };
    const test = await selfTest(scratch, [wasmState(driver.sandbox), qemuState(qemu)]);
    await driver.close();
    const resources = capacityOf(config, test.resources);
    const perHour = costPerHourNanos("on-result", resources, priceOf(config)) * BigInt(resources.vcpu);
    const report = {
      folder,
      cpuScore: test.cpuScore,
      given: resources,
      most: test.resources,
      diskFreeMib: test.diskFreeMib,
      drivers: test.drivers,
      sandbox: driver.sandbox,
      strangersAllowed: driver.sandbox.strength === "strong" || config.policy.allow_weak_sandbox,
      earnsPerHourNanosAtFullUse: perHour.toString(),
    };
    if (json) return printJson(report);
    print(
      `machine   score ${test.cpuScore}, could give ${test.resources.vcpu} vCPU, ${mib(test.resources.memoryMib)} memory; ${mib(test.diskFreeMib)} free on disk`,
    );
    print(`given     ${resources.vcpu} vCPU, ${mib(resources.memoryMib)} memory, ${mib(resources.diskMib)} for files; the rest stays yours`);
    table(
      ["driver", "present", "note"],
      test.drivers.map(({ name, present, reason }) => [name, present ? "yes" : "no", reason]),
    );
    print(
      `sandbox   ${driver.sandbox.strength}${driver.sandbox.why === "" ? ": empty root, no network, no host processes, no capabilities" : `: ${driver.sandbox.why}`}`,
    );
    print(
      `strangers ${report.strangersAllowed ? `can run WebAssembly in it${qemu.ok ? ", machines in boxes of their own," : ""} and reach nothing else of this machine` : "are refused: the sandbox is weak (policy.allow_weak_sandbox = true would change that)"}`,
    );
    print(
      `network   ${config.policy.egress === "none" ? "guests have none" : `machines may reach ${config.policy.egress === "names" ? "the names in their orders" : "public addresses"} on ports ${config.policy.egress_ports.join(", ")}, never private ones, never mail`}; the daemon only connects outward to the broker`,
    );
    print(`earning   at most ${money(perHour)} per hour when everything is rented all the time, before the broker's fee`);
    print(`nothing was listed`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const unit = (node: string, cli: string, folder: string, configFile: string): string => `[Unit]
Description=Xenoserver
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=${node} ${cli} serve --data ${folder} --config ${configFile}
Restart=always
RestartSec=2
# guests outlive the daemon and are adopted by the next one
KillMode=process
TimeoutStopSec=90
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=${folder}
ProtectHome=tmpfs
BindPaths=${folder}
BindReadOnlyPaths=-${configFile}
PrivateTmp=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
Delegate=yes

[Install]
WantedBy=multi-user.target
`;

async function install(folder: string, configFile: string): Promise<void> {
  const text = unit(process.execPath, path.resolve(import.meta.dirname, "../../bin/xeno.js"), folder, configFile);
  const file = process.getuid?.() === 0 ? "/etc/systemd/system/xenoserver.service" : path.join(folder, "xenoserver.service");
  await writeFile(file, text);
  print(file);
  say(
    process.getuid?.() === 0
      ? "start it with: systemctl daemon-reload && systemctl enable --now xenoserver"
      : "not root: copy it to /etc/systemd/system/ and enable it there",
  );
}

/** From a complaint to a lease, by the owner's own records of what its guests connected to. */
export async function abuseTrace(
  address: string,
  { at, fromPort, data, json }: { at?: string; fromPort?: string; data?: string; json?: boolean },
): Promise<void> {
  const match = /^\[?([0-9a-f.:]+?)\]?(?::(\d{1,5}))?$/i.exec(address);
  if (!match) throw new UserError(`'${address}' is no address; write 203.0.113.7 or 203.0.113.7:443`);
  const time = at === undefined ? null : Date.parse(at);
  if (time !== null && Number.isNaN(time)) throw new UserError(`--at '${at}' is no time; write 2026-11-25T14:30:00Z`);
  const { readEgressLog } = await import("@xenoservers/xenoserver");
  const found = (await readEgressLog(path.join(serverFolder(data), "vm"))).filter(
    (each) =>
      each.address === match[1] &&
      (match[2] === undefined || each.port === Number(match[2])) &&
      (time === null || (each.at - ABUSE_SLACK_MS <= time && time <= each.endedAt + ABUSE_SLACK_MS)) &&
      (fromPort === undefined || each.from === Number(fromPort)),
  );
  if (json) return printJson({ connections: found });
  if (found.length === 0) return print("no guest of this machine connected there then");
  table(
    ["from", "until", "lease", "to", "name", "own port", "bytes"],
    found.map((each) => [
      ...[when(each.at), when(each.endedAt), shortId(each.lease), `${each.address}:${each.port}`],
      ...[each.name ?? "", String(each.from), String(each.bytes)],
    ]),
  );
  say("who stood behind a lease: its purchase order in this machine's folder names the customer's party; tell the operator of the market");
}

/** Clocks of those who complain differ. */
const ABUSE_SLACK_MS = 60_000;

export async function serverCommand(
  command: "status" | "drain" | "stop" | "stop-now" | "retire",
  { data, json }: { data?: string; json?: boolean },
): Promise<void> {
  const folder = serverFolder(data);
  const answer = await ask(folder, { command }, command === "status" ? 5_000 : 24 * 3_600_000);
  if (!answer) throw new UserError(`no xenoserver runs on ${folder}; start it with \`xeno serve\``);
  if (answer["error"] !== undefined) throw new UserError(String(answer["error"]));
  if (command === "retire") await retire(folder);
  if (json) return printJson(answer);
  const state = answer as unknown as {
    server: string;
    connected: boolean;
    draining: boolean;
    leases: { lease: string; stage: string; usedMs: number; resources: { vcpu: number; memoryMib: number } }[];
  };
  print(`${state.server}  ${state.connected ? "connected" : "not connected"}${state.draining ? ", draining" : ""}`);
  if (state.leases.length > 0)
    table(
      ["lease", "stage", "used", "resources"],
      state.leases.map((lease) => [
        shortId(lease.lease),
        lease.stage,
        duration(lease.usedMs),
        `${lease.resources.vcpu} vCPU ${mib(lease.resources.memoryMib)}`,
      ]),
    );
}

/** The machine leaves the market: its key is put aside, so that it cannot be listed again by accident. */
async function retire(folder: string): Promise<void> {
  await rename(path.join(folder, "server-identity.json"), path.join(folder, `server-identity.retired-${Date.now()}.json`));
  say("retired; the owner can also revoke its key: xeno key revoke KEY");
}
