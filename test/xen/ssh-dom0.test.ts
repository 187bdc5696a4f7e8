/** A host that is reached by ssh, as XENO_XEN_HOST names one: tried with the dom0 that is emulated here. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../support/free-port.ts";
import { run } from "../vm/support.ts";
import type { SystemdHost } from "../vm/systemd-host.ts";
import { startDom0 } from "./dom0-host.ts";
import { sshDom0 } from "./ssh-dom0.ts";
import { onXen } from "./support.ts";

onXen("a Xen host by ssh", () => {
  let folder: string;
  let emulated: SystemdHost;
  let target: string;
  let options: readonly string[];
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-ssh-test-"));
    const sshPort = await freePort();
    emulated = await startDom0(await freePort(), { ssh: sshPort });
    const key = path.join(folder, "key");
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    const set = await emulated.sh(`set -e
      umount /opt/xeno; mkdir -p /run/sshd /root/.ssh; ssh-keygen -A >/dev/null
      echo '${(await readFile(`${key}.pub`, "utf8")).trim()}' >/root/.ssh/authorized_keys; /usr/sbin/sshd`);
    expect(set.stderr).toBe("");
    target = `ssh://root@127.0.0.1:${sshPort}`;
    options = ["-i", key, "-o", "StrictHostKeyChecking=accept-new", "-o", `UserKnownHostsFile=${path.join(folder, "known")}`];
  });
  afterAll(async () => {
    await emulated?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("runs what it is told, has the product and a port of this machine, and nothing of it afterwards", async () => {
    const server = createServer((socket) => socket.end("from here\n")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const of = { port, product: "/opt/xeno", data: "/srv/xeno", options };
    const dom0 = await sshDom0(target, of);
    expect(await dom0.sh(`echo "it's said"; echo err >&2; exit 3`)).toEqual({ code: 3, stdout: "it's said\n", stderr: "err\n" });
    expect((await dom0.sh("/opt/xeno/packages/cli/bin/xeno --version")).stdout).toMatch(/^\d+\.\d+\.\d+/m);
    expect((await dom0.sh(`bash -c 'cat </dev/tcp/127.0.0.1/${port}'`)).stdout).toBe("from here\n");
    await expect(sshDom0(target, of)).rejects.toThrow("/opt/xeno is there: move it away");
    await dom0.close();
    const left = await emulated.sh("ls -d /opt/xeno /srv/xeno /var/tmp/xeno-product.sqsh 2>/dev/null; losetup --list --noheadings; true");
    expect(left.stdout).toBe("");
    server.close();
  });

  it("is refused in words where it is no dom0 for suites", async () => {
    await emulated.sh("mount -t tmpfs tmpfs /proc/xen");
    await expect(sshDom0(target, { port: 1, product: "/opt/xeno", data: "/srv/xeno", options })).rejects.toThrow(
      "the host is not dom0 of Xen",
    );
    await emulated.sh("umount /proc/xen");
  });
});
