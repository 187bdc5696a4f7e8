/**
 * `xeno serve --install`: a hardened systemd unit that starts this very program, wherever it lies, and a second one that holds the control
 * groups of its guests. These outlive the daemon, and the kernel lets no process into a group whose groups below have limits of their own:
 * in the daemon's, systemd could not start it again while a guest lives.
 */
import { execFile } from "node:child_process";
import { access, mkdir, realpath, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { ENTRY } from "../own-place.ts";
import { print, say, yellow } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

const UNIT = "xenoserver.service";
/** By this name the daemon finds it beside its own (guests/src/cgroup.ts). */
const GUESTS_UNIT = "xenoserver-guests.service";
/** Above both: who may write there may move processes from one to the other. */
const SLICE = "xenoserver.slice";

type Manager = "system" | "user";

interface Unit {
  /** The program's Node, its entry, and the folder that holds all of its code; none of them a link. */
  node: string;
  entry: string;
  program: string;
  folder: string;
  configFile: string;
  /** Who starts it: the machine's systemd, as root; or the user's own, which takes away less. */
  manager: Manager;
  /** Where Prometheus finds its metrics; null: nowhere. */
  metricsPort: number | null;
  /** The machine is dom0 of a Xen host, and leases domains. */
  isDom0: boolean;
}

/**
 * What calls on the hypervisor and what domains' disks need of dom0's kernel. Their modules are loaded before the units begin: a device is
 * allowed by the number that it has then.
 */
const XEN_MODULES = ["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-blkback", "xen-netback", "loop", "dm-snapshot"];
const XEN_DEVICES = [
  ...["privcmd", "hypercall", "evtchn", "gntdev", "gntalloc", "xenbus", "xenbus_backend"].map((name) => `/dev/xen/${name}`),
  ...["/dev/loop-control", "block-loop", "/dev/mapper/control", "block-device-mapper"],
];
/** Where Xen's toolstack keeps its locks, its sockets, its logs and what it knows of domains. */
const XEN_FOLDERS = ["/run", "/var/lib/xen", "/var/log/xen"];

const modules = XEN_MODULES.map((name) => `modprobe@${name.replaceAll("-", "_")}.service`).join(" ");
const [XENS_OWN, MODULES] = [`After=xen.service xenstored.service xenconsoled.service ${modules}\n`, `Wants=${modules}\n`];
const startsAfterXen = (isDom0: boolean): string => (isDom0 ? `${XENS_OWN}${MODULES}` : "");

/** What QEMU takes, where it is there. A process may open what the unit allows in whose control group it is. */
const devices = (isDom0: boolean): string =>
  ["/dev/kvm", ...(isDom0 ? XEN_DEVICES : [])].map((device) => `DeviceAllow=${device} rw\n`).join("");

/**
 * What root has left: users of their own for guests and whose the files of these are, namespaces and mounts, a machine's network and its
 * names, ends of processes, and looking into those of other users for the gate that enters their network.
 */
const CAPABILITIES = [
  ...["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "KILL", "SETGID", "SETUID", "SETPCAP"],
  ...["SYS_ADMIN", "SYS_CHROOT", "NET_ADMIN", "NET_BIND_SERVICE", "SYS_PTRACE"],
]
  .map((name) => `CAP_${name}`)
  .join(" ");

/** Groups of calls that neither the daemon nor a guest has any use for: they fail, and nothing is ended by them. */
const CALLS = ["@clock", "@cpu-emulation", "@debug", "@module", "@obsolete", "@raw-io", "@reboot", "@swap"].join(" ");

/** Paths are quoted, for they may hold spaces; none of them holds a quote or a backslash. */
const quoted = (text: string): string => `"${text.replaceAll("%", "%%")}"`;
/** A word behind a command, where a dollar sign begins a variable. */
const word = (text: string): string => quoted(text.replaceAll("$", "$$$$"));
/** One of the paths that are bound, where a colon would part it. */
const bound = (file: string, mark = ""): string => quoted(`${mark}${file.replaceAll(":", "\\\\:")}`);

const metricsAt = (port: number | null): string => (port === null ? "" : ` --metrics-port ${port}`);
const commandOf = ({ node, entry, folder, configFile, metricsPort }: Unit): string =>
  `${quoted(node)} ${word(entry)} serve --data ${word(folder)} --config ${word(configFile)}${metricsAt(metricsPort)}`;

/** Of sh(1), as systemd takes it. */
const oneLine = (script: string): string => script.replaceAll("$", "$$$$").replaceAll("\n", "; ");

/**
 * Its group is there as long as a process is in it: one that sleeps, in a group of its own below, before the unit counts as started. What
 * follows `-` may fail: where control groups are of version 1, the daemon's unit is enough.
 */
const KEEPER = oneLine(`group=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/keeper
{ mkdir "$group" && echo $$ > "$group/cgroup.procs"; } || true
sleep infinity &`);

/**
 * Threads of dom0's kernel that work for domains live on with these, and no signal ends them: systemd would wait for them. They go back to
 * where the kernel begins them.
 */
const LETS_THREADS_GO = oneLine(`group=/sys/fs/cgroup$(sed -n "s,/.control,,;s,^0::,,p" /proc/self/cgroup)
cat "$group"/xeno-back-end-*/cgroup.procs 2>/dev/null | while read -r thread; do echo "$thread" >/sys/fs/cgroup/cgroup.procs; done
true`);

/** What only root's systemd can put around a process. */
const GUESTS_CLOSED = `CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
`;

/** Stopping it ends all guests. */
export const guestsUnitText = ({ manager, isDom0 }: Pick<Unit, "manager" | "isDom0">): string => `[Unit]
Description=Guests of the xenoserver
${startsAfterXen(isDom0)}
[Service]
Type=forking
ExecStart=/bin/sh -c '${KEEPER}'
${isDom0 ? `ExecStop=-/bin/sh -c '${LETS_THREADS_GO}'\n` : ""}Slice=${SLICE}
Delegate=cpu ${isDom0 ? "io " : ""}memory pids
# each guest has a bound of its own; systemd's would be one for all of them
TasksMax=infinity
${manager === "system" ? `${GUESTS_CLOSED}${devices(isDom0)}` : ""}NoNewPrivileges=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
`;

/** The same of the daemon's; mounts of its own, capabilities and devices are beyond a user's systemd. */
const closed = ({ node, program, folder, configFile, isDom0 }: Unit): string => `CapabilityBoundingSet=${CAPABILITIES}
ProtectKernelLogs=yes
ProtectSystem=strict
ReadWritePaths=${quoted(folder)}${isDom0 ? XEN_FOLDERS.map((each) => ` -${each}`).join("") : ""}
ProtectHome=tmpfs
PrivateTmp=yes
PrivateMounts=yes
DevicePolicy=closed
${devices(isDom0)}# the program and its data may lie in a home or below /tmp, of which nothing else is seen
BindPaths=${bound(folder)}
BindReadOnlyPaths=${bound(program)} ${bound(node)} ${bound(configFile, "-")}
ProtectKernelModules=yes
ProtectClock=yes
ProtectHostname=yes
`;

/** The user's systemd knows no target for the network; the daemon tries again until there is one. */
const online = { system: { after: "network-online.target ", wants: "Wants=network-online.target\n" }, user: { after: "", wants: "" } };
const TARGET = { system: "multi-user.target", user: "default.target" };

export const unitText = (unit: Unit): string => `[Unit]
Description=Xenoserver
After=${online[unit.manager].after}${GUESTS_UNIT}
${online[unit.manager].wants}${startsAfterXen(unit.isDom0)}Requires=${GUESTS_UNIT}

[Service]
ExecStart=${commandOf(unit)}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
# guests outlive the daemon and are adopted by the next one
KillMode=process
TimeoutStopSec=90
UMask=0077
NoNewPrivileges=yes
${unit.manager === "system" ? closed(unit) : ""}RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=user mnt pid net ipc uts
SystemCallFilter=~${CALLS}
SystemCallErrorNumber=EPERM
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
Slice=${SLICE}
# for a host with control groups of version 1 alone, where groups within groups hold no process back
Delegate=yes
TasksMax=infinity

[Install]
WantedBy=${TARGET[unit.manager]}
`;

/** The nearest folder above that all of the program's packages are found from. */
async function programFolder(from: string): Promise<string> {
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (
      await access(path.join(folder, "node_modules/@xenoservers")).then(
        () => true,
        () => false,
      )
    )
      return folder;
    if (folder === path.dirname(folder)) throw new UserError(`the packages of ${from} are not found; install xeno anew`);
  }
}

/** What systemd's own check says of the units; null where it is content, or not here. */
function complaints(manager: Manager, files: readonly string[]): Promise<string[] | null> {
  return new Promise((resolve) =>
    execFile("systemd-analyze", [`--${manager}`, "verify", ...files], (error, _, stderr) =>
      resolve(error && typeof error.code === "number" ? stderr.split("\n").filter((line) => line !== "") : null),
    ),
  );
}

/** What systemd does not take in a command, and a line end that would begin a line of the unit. */
export function pathProblem(...files: string[]): string | null {
  const wrong = files.find((file) => /[\p{Cc}"'\\]/u.test(file));
  return wrong === undefined
    ? null
    : `no unit can name the path ${wrong}: it holds quotes, backslashes or control characters; put it elsewhere`;
}

/** Where a user's systemd looks (systemd.unit(5)). */
const userUnits = (): string => path.join(process.env["XDG_CONFIG_HOME"] || path.join(homedir(), ".config"), "systemd/user");

const START = {
  system: ["start it with: systemctl daemon-reload && systemctl enable --now xenoserver"],
  user: [
    "start it with: systemctl --user daemon-reload && systemctl --user enable --now xenoserver",
    "and, so that it runs while you are not logged in: loginctl enable-linger",
  ],
} as const;

export async function installUnit(folder: string, configFile: string, metricsPort: number | null): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const entry = await realpath(ENTRY);
  const [node, data, config] = [await realpath(process.execPath), await realpath(folder), path.resolve(configFile)];
  const problem = pathProblem(entry, node, data, config);
  if (problem !== null) throw new UserError(problem);
  const manager = process.getuid?.() === 0 ? "system" : "user";
  const at = manager === "system" ? "/etc/systemd/system" : userUnits();
  await mkdir(at, { recursive: true });
  const { isDom0 } = await import("@xenoservers/guests");
  const program = await programFolder(path.dirname(entry));
  const isXen = manager === "system" && (await isDom0());
  const units: readonly [string, string][] = [
    [UNIT, unitText({ node, entry, program, folder: data, configFile: config, manager, metricsPort, isDom0: isXen })],
    [GUESTS_UNIT, guestsUnitText({ manager, isDom0: isXen })],
  ];
  const files: string[] = [];
  for (const [name, text] of units) {
    const file = path.join(at, name);
    await writeFile(file, text);
    print(file);
    files.push(file);
  }
  const wrong = await complaints(manager, files);
  if (wrong) say(yellow("systemd-analyze verify does not take it:"), ...wrong.map((line) => `  ${line}`));
  say(...START[manager]);
}
