/** The same guest started by libvirt, where it is installed: its session daemon, without root, as a services's user has it. */
import { execFile, spawn } from "node:child_process";
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const NOBODY = 65_534;
const DOMAIN = "xeno-bench";

export interface Virsh {
  /** A running machine's serial output so far. */
  console: string;
  create(): Promise<void>;
  destroy(): Promise<void>;
  close(): Promise<void>;
}

const xml = (
  folder: string,
  accel: "kvm" | "tcg",
  memoryMib: number,
): string => `<domain type="${accel === "kvm" ? "kvm" : "qemu"}"><name>${DOMAIN}</name>
<memory unit="MiB">${memoryMib}</memory><vcpu>1</vcpu>
<os><type arch="x86_64" machine="pc">hvm</type><kernel>${folder}/kernel</kernel><initrd>${folder}/initrd</initrd><cmdline>console=ttyS0 quiet</cmdline></os>
<features><acpi/></features><cpu mode="maximum"/>
<devices><serial type="file"><source path="${folder}/console.log"/></serial><memballoon model="none"/><rng model="virtio"><backend model="random">/dev/urandom</backend></rng></devices>
</domain>`;

/** Null where libvirt is not installed. */
export async function openVirsh({
  accel,
  kernel,
  initrd,
  memoryMib,
}: {
  accel: "kvm" | "tcg";
  kernel: string;
  initrd: string;
  memoryMib: number;
}): Promise<Virsh | null> {
  const found = await run("sh", ["-c", "command -v virsh && command -v libvirtd"]).catch(() => null);
  if (!found) return null;
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-virsh-"));
  await chmod(folder, 0o777);
  await copyFile(kernel, path.join(folder, "kernel"));
  await copyFile(initrd, path.join(folder, "initrd"));
  for (const name of ["kernel", "initrd"]) await chmod(path.join(folder, name), 0o644);
  await writeFile(path.join(folder, "domain.xml"), xml(folder, accel, memoryMib));
  const log = path.join(folder, "console.log");
  const env = { PATH: process.env["PATH"], HOME: folder, XDG_RUNTIME_DIR: folder };
  const drop = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const virsh = (...args: string[]): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = spawn("virsh", ["-q", "-c", "qemu:///session", ...args], { env, stdio: ["ignore", "ignore", "pipe"], ...drop });
      let said = "";
      child.stderr.on("data", (bytes: Buffer) => (said += bytes.toString()));
      child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`virsh ${args[0]}: ${said.trim()}`))));
    });
  return {
    console: log,
    create: () => virsh("create", path.join(folder, "domain.xml")),
    async destroy() {
      await virsh("destroy", DOMAIN);
      await rm(log, { force: true });
    },
    async close() {
      for (const name of ["libvirtd.pid", "virtlogd.pid"]) {
        const pid = Number(await readFile(path.join(folder, "libvirt", name), "utf8").catch(() => "0"));
        if (pid > 0) process.kill(pid, "SIGTERM");
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}
