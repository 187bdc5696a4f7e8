/** A real guest of BusyBox and the QEMU guest agent, without Perl: on this machine's QEMU alone, without a market. */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { AgentCopies } from "../../packages/guests/src/qemu/machine/agent-copies.ts";
import { GuestAgent } from "../../packages/guests/src/qemu/machine/agent.ts";
import { connectSocket } from "../../packages/guests/src/qemu/machine/qmp.ts";
import { MODE, cpio } from "../../packages/guests/src/qemu/images/cpio.ts";
import { openStock } from "../../packages/guests/src/qemu/images/stock.ts";
import { until } from "../process/market.ts";

const PORT = "xeno.shell0";
const AGENT_PORT = "org.qemu.guest_agent.0";
/** A system of BusyBox and the agent, in place of the init of ours that lies beside them. */
const INIT = `#!/bin/busybox sh
/bin/busybox rm -f /bin/perl
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /small
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp; mount -t tmpfs run /run; mount -t tmpfs -o size=1m small /small
while read -r each; do insmod /modules/$each; done </modules/order
device=
while [ -z "$device" ]; do
  for each in /sys/class/virtio-ports/*; do
    name=; read -r name <$each/name && [ "$name" = ${AGENT_PORT} ] && device=/dev/\${each##*/}
  done
done
while :; do /agent/ld.so --library-path /agent/lib /agent/qemu-ga -m virtio-serial -p $device -t /run; done
`;

export interface BareGuest {
  /** Where its agent listens. */
  agentSocket: string;
  agent: GuestAgent;
  copies: AgentCopies;
  /** As a server answers: copies are its own, all else is the agent's. */
  ask(command: string, args: Record<string, unknown>): Promise<unknown>;
  close(): Promise<void>;
}

/** Emulated; `folder` has its sockets and its console. */
export async function startBareGuest(folder: string): Promise<BareGuest> {
  const stock = await openStock(folder);
  if (!stock) throw new Error("there is no stock kernel here");
  const initrd = path.join(folder, "initrd");
  const init = cpio([{ path: "init", mode: MODE.program, data: Buffer.from(INIT) }]);
  await writeFile(initrd, Buffer.concat([await readFile(stock.initrd), init]));
  const port = (id: string, name: string): string[] => [
    ...["-chardev", `socket,id=${id},path=${folder}/${id},server=on,wait=off`],
    ...["-device", `virtserialport,chardev=${id},name=${name}`],
  ];
  const words = [
    ...["-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot"],
    ...["-kernel", stock.kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet", "-serial", `file:${folder}/console`],
    ...["-device", "virtio-serial", ...port("agent", AGENT_PORT), ...port("bare", PORT)],
  ];
  const qemu = spawn("qemu-system-x86_64", words, { stdio: ["ignore", "ignore", "inherit"] });
  const gone = new Promise((resolve) => qemu.once("exit", resolve));
  const agentSocket = path.join(folder, "agent");
  const agent = new GuestAgent(() => connectSocket(agentSocket));
  const copies = new AgentCopies(agent, async () => {
    const socket = (await connectSocket(path.join(folder, "bare"))).pause();
    return { name: PORT, socket, give: () => socket.destroy() };
  });
  await until(async () => {
    if (qemu.exitCode !== null) throw new Error(`the guest ended: ${await readFile(path.join(folder, "console"), "utf8")}`);
    return agent.ask("guest-ping", {}).then(
      () => true,
      () => false,
    );
  });
  return {
    ...{ agentSocket, agent, copies },
    async ask(command, args) {
      const own = copies.command(command);
      return own ? own(args) : agent.ask(command, args);
    },
    async close() {
      copies.close();
      agent.close();
      qemu.kill("SIGKILL");
      await gone;
    },
  };
}
