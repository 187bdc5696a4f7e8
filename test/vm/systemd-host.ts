/**
 * A real Debian under its own systemd, with this repository's product at /opt/xeno and this machine's brokers at the addresses that they
 * have here: for what only an init of its own can show. Emulated; direct from its kernel, without the seed's cloud-init.
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { GuestAgent } from "../../packages/guests/src/qemu/machine/agent.ts";
import { connectSocket } from "../../packages/guests/src/qemu/machine/qmp.ts";
import { until } from "../process/market.ts";
import { productDisk } from "./product.ts";
import { debianDisk, once, run } from "./support.ts";

const MEMORY_MIB = 1_792;
/** Where its partition begins on the disk. */
const OFFSET = 1024 * 1024;
/** What takes its time and is of no use here. */
const MASKED = [
  "systemd-networkd-wait-online",
  "ssh",
  "getty@tty1",
  "serial-getty@ttyS0",
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "getty-static",
]
  .map((name) => `systemd.mask=${name.includes(".") ? name : `${name}.service`}`)
  .join(" ");

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export interface SystemdHost {
  /** Words of sh(1), as root. */
  sh(script: string): Promise<Ran>;
  close(): Promise<void>;
}

/** The kernel's own look at its timer gives up where the host is busy (`no_timer_check`). */
const WORDS = "root=/dev/vda1 rw console=ttyS0 quiet panic=-1 no_timer_check cloud-init=disabled";

/** The disk's own kernel and RAM disk, which fit its modules. */
async function bootFiles(): Promise<{ kernel: string; initrd: string }> {
  const disk = await debianDisk();
  const folder = await once(`${path.basename(disk)}-boot`, async (part) => {
    const raw = `${part}.raw`;
    try {
      await run("qemu-img", ["convert", "-O", "raw", disk, raw]);
      await mkdir(part);
      await run("debugfs", ["-R", `rdump /boot ${part}`, `${raw}?offset=${OFFSET}`]);
    } finally {
      await rm(raw, { force: true });
    }
  });
  const at = path.join(folder, "boot");
  const named = async (prefix: string): Promise<string> => {
    const name = (await readdir(at)).find((each) => each.startsWith(prefix));
    if (name === undefined) throw new Error(`the Debian disk has no ${prefix}`);
    return path.join(at, name);
  };
  return { kernel: await named("vmlinuz-"), initrd: await named("initrd.img-") };
}

async function argsOf(folder: string): Promise<string[]> {
  const { kernel, initrd } = await bootFiles();
  const [overlay, product] = [path.join(folder, "disk.qcow2"), path.join(folder, "product.sqsh")];
  await run("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", await debianDisk(), overlay]);
  await productDisk(product);
  return [
    ...[
      "-accel",
      "tcg,thread=multi",
      "-smp",
      "2",
      "-m",
      String(MEMORY_MIB),
      "-display",
      "none",
      "-no-reboot",
      "-serial",
      `file:${folder}/console`,
    ],
    ...["-kernel", kernel, "-initrd", initrd, "-append", `${WORDS} ${MASKED}`],
    ...["-drive", `if=virtio,format=qcow2,cache=unsafe,file=${overlay}`, "-drive", `if=virtio,format=raw,readonly=on,file=${product}`],
    ...["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net", "-device", "virtio-serial"],
    ...["-chardev", `socket,id=agent,path=${folder}/agent,server=on,wait=off`],
    ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
  ];
}

const LOOK_EVERY_MS = 250;

interface Status {
  exited: boolean;
  exitcode?: number;
  "out-data"?: string;
  "err-data"?: string;
}
const text = (base64 = ""): string => Buffer.from(base64, "base64").toString();

/** One at a time: the agent answers in turn. */
export async function ranBy(agent: GuestAgent, script: string): Promise<Ran> {
  const begun = await agent.ask("guest-exec", { path: "/bin/sh", arg: ["-c", script], "capture-output": true });
  const { pid } = begun as { pid: number };
  let status: Status = { exited: false };
  // the agent writes each look into its machine's log
  await until(async () => (status = (await agent.ask("guest-exec-status", { pid })) as Status).exited, LOOK_EVERY_MS);
  return { code: status.exitcode ?? -1, stdout: text(status["out-data"]), stderr: text(status["err-data"]) };
}

/** The network by hand, for no seed sets it up; then what is at that port of this machine is at the same port there. */
const setUp = (port: number): string => `set -e
mkdir -p /opt/xeno && mount -t squashfs -o ro /dev/vdb /opt/xeno
nic=$(ls /sys/class/net | grep -v lo | head -n 1)
ip link set "$nic" up
ip addr add 10.0.2.15/24 dev "$nic"
ip route add default via 10.0.2.2
systemd-run --quiet --unit=broker-here systemd-socket-activate -l 127.0.0.1:${port} /lib/systemd/systemd-socket-proxyd 10.0.2.2:${port}`;

/** `port`: a broker's, on this machine. */
export async function startSystemdHost(port: number): Promise<SystemdHost> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-systemd-"));
  const qemu = spawn("qemu-system-x86_64", await argsOf(folder), { stdio: ["ignore", "ignore", "inherit"] });
  const gone = new Promise<void>((resolve) => qemu.once("exit", () => resolve()));
  const end = (): void => void qemu.kill("SIGKILL");
  process.once("exit", end);
  const agent = new GuestAgent(() => connectSocket(path.join(folder, "agent")));
  const host: SystemdHost = {
    sh: (script) => ranBy(agent, script),
    async close() {
      agent.close();
      end();
      await gone;
      process.off("exit", end);
      await rm(folder, { recursive: true, force: true });
    },
  };
  await until(async () => {
    if (qemu.exitCode !== null)
      throw new Error(`the Debian host ended: ${(await readFile(path.join(folder, "console"), "utf8")).slice(-2_000)}`);
    return (await host.sh("true").catch(() => null)) !== null;
  });
  const set = await host.sh(setUp(port));
  if (set.code !== 0) throw new Error(`the Debian host was not set up: ${set.stderr}`);
  return host;
}
