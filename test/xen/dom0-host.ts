/**
 * Dom0 of a real Xen hypervisor, all of it under QEMU's emulation, with this repository's product at /opt/xeno and a broker of this machine
 * at the address that it has here. Made of Debian's packages; no KVM is needed.
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { GuestAgent } from "../../packages/guests/src/qemu/machine/agent.ts";
import { connectSocket } from "../../packages/guests/src/qemu/machine/qmp.ts";
import { HANGS_MS, until } from "./waiting.ts";
import { productDisk } from "../vm/product.ts";
import { madeBy, run } from "../vm/support.ts";
import type { Ran, SystemdHost } from "../vm/systemd-host.ts";
import { ranBy } from "../vm/systemd-host.ts";

const beside = (name: string): string => path.join(import.meta.dirname, name);

/** A folder of what boots dom0: Xen, dom0's kernel (not packed), its RAM disk and its disk; and of what its guests boot. */
export const dom0Files = (): Promise<string> => madeBy(beside("dom0-disk.sh"), "xen-dom0", [beside("dom0-init.sh")]);

const MEMORY_MIB = 4_096;
/** A hypervisor with hardware's page tables, as AMD's emulated ones. */
const MACHINE = ["-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "qemu64,+svm,+npt,+ssse3,+sse4.1,+sse4.2,+popcnt"];
const XEN_WORDS = "dom0_mem=1024M,max:1024M dom0_max_vcpus=1 console=com1 com1=115200 no-real-mode";

/** Where servers there listen for moves. */
export const MOVE_PORT = 4433;
export const MOVE_LISTEN = `10.0.2.15:${MOVE_PORT}`;

/** Ports of this machine, by which its own are reached: ssh's, and that of servers that hand leases over to one there. */
interface Dom0Has {
  ssh?: number | undefined;
  move?: number | undefined;
  /** For its domains; one is faster than several. */
  processors?: number | undefined;
}

const forwardOf = (port: number | undefined, to: string): string => (port === undefined ? "" : `,hostfwd=tcp:127.0.0.1:${port}-${to}`);

async function argsOf(folder: string, { ssh, move, processors = 1 }: Dom0Has): Promise<string[]> {
  const files = await dom0Files();
  const at = (name: string): string => path.join(files, name);
  const [overlay, product] = [path.join(folder, "disk.qcow2"), path.join(folder, "product.sqsh")];
  await run("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", at("disk.qcow2"), overlay]);
  await productDisk(product);
  return [
    ...[
      ...MACHINE,
      "-smp",
      String(processors),
      "-m",
      String(MEMORY_MIB),
      "-display",
      "none",
      "-no-reboot",
      "-serial",
      `file:${folder}/console`,
    ],
    ...["-kernel", at("xen"), "-append", XEN_WORDS, "-initrd", `${at("vmlinux")} console=hvc0 quiet,${at("initrd")}`],
    ...["-drive", `if=none,id=disk,format=qcow2,cache=unsafe,file=${overlay}`, "-device", "virtio-blk-pci,drive=disk"],
    ...["-drive", `if=none,id=product,format=raw,readonly=on,file=${product}`, "-device", "virtio-blk-pci,drive=product"],
    ...["-netdev", `user,id=net${forwardOf(ssh, ":22")}${forwardOf(move, MOVE_LISTEN)}`, "-device", "virtio-net-pci,netdev=net"],
    ...["-device", "virtio-serial"],
    ...["-chardev", `socket,id=agent,path=${folder}/agent,server=on,wait=off`],
    ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
  ];
}

/** What is at that port of this machine is at the same port there. */
const forwarded = (port: number): string =>
  `test -d /opt/xeno/packages && setsid socat TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr TCP:10.0.2.2:${port} >/dev/null 2>&1 &`;

/** `port`: a broker's, on this machine; `has`: ports of this machine that nobody has. */
export async function startDom0(port: number, has: Dom0Has = {}): Promise<SystemdHost> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-xen-"));
  await mkdir(folder, { recursive: true });
  // ended with whoever runs it, also where that is killed
  const qemu = spawn("setpriv", ["--pdeathsig", "KILL", "qemu-system-x86_64", ...(await argsOf(folder, has))], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const gone = new Promise<void>((resolve) => qemu.once("exit", () => resolve()));
  const end = (): void => void qemu.kill("SIGKILL");
  process.once("exit", end);
  const agent = new GuestAgent(() => connectSocket(path.join(folder, "agent")), HANGS_MS);
  const host: SystemdHost = {
    sh: (script): Promise<Ran> => ranBy(agent, script),
    async close() {
      agent.close();
      end();
      await gone;
      process.off("exit", end);
      await rm(folder, { recursive: true, force: true });
    },
  };
  await until(async () => {
    if (qemu.exitCode !== null) throw new Error(`dom0 ended: ${(await readFile(path.join(folder, "console"), "utf8")).slice(-2_000)}`);
    return (await host.sh("true").catch(() => null)) !== null;
  });
  const set = await host.sh(forwarded(port));
  if (set.code !== 0) throw new Error(`dom0 was not set up: ${set.stderr}`);
  return host;
}
