/** The hostile guest's table of docs/threat-model.md, row by row: what a guest tries, and that host and neighbour do not feel it. */
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { VmInput } from "@xenoservers/sdk";
import { orderAndFollow, until, type TestMarket } from "../process/market.ts";
import { boxJob } from "./box.ts";
import { NETWORK_MODULES, busyboxLayout, initrd, kernelMachine, machines, qemus, run, stopAll, vmMarket, wantedFor } from "./support.ts";

machines("a hostile guest", () => {
  let market: TestMarket;
  let folder: string;
  let layout: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-hostile-"));
    layout = await busyboxLayout(folder);
    market = await vmMarket('[capacity]\nvcpu = 2\n[policy]\nmax_lease_hours = 1\negress = "public"\n');
  });
  afterEach(() => stopAll(market));
  afterAll(async () => {
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });
  const rent = async (job: Awaited<ReturnType<typeof kernelMachine>>, over = {}) =>
    orderAndFollow(market.customer, job, wantedFor(job, over));

  /** A command as root of a BusyBox image. */
  const box = (script: string, over: Partial<VmInput> = {}) => boxJob(layout, folder, script, over);
  const machineFolder = (lease: string): string => path.join(market.folder, "server/vm/machines", lease.slice(0, 24));
  const cgroupOf = async (): Promise<{ cpu: string; memory: string; pids: string }> => {
    const [pid] = await qemus(market.folder);
    const lines = (await readFile(`/proc/${pid}/cgroup`, "utf8"))
      .trim()
      .split("\n")
      .map((line) => line.split(":"));
    const of = (controller: string): string => {
      const [, , at] = lines.find(([, names]) => names!.split(",").includes(controller)) ?? lines.find(([id]) => id === "0")!;
      return lines.some(([, names]) => names!.split(",").includes(controller))
        ? `/sys/fs/cgroup/${controller}${at}`
        : `/sys/fs/cgroup${at}`;
    };
    return { cpu: of("cpu"), memory: of("memory"), pids: of("pids") };
  };

  it("fork bomb: the host gets no process of it", async () => {
    const going = await rent(await box("echo begun; f() { f | f & }; f; f; f; sleep 600"));
    await until(() => going.seen.stdout.includes("begun"));
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const [pid] = await qemus(market.folder);
    const children = (await run("sh", ["-c", `pstree -pl ${pid} 2>/dev/null || ps --ppid ${pid} -o pid=`])).stdout;
    expect(children.match(/qemu-system/g)?.length ?? 1).toBeLessThan(40);
    const { pids } = await cgroupOf();
    expect(Number(await readFile(path.join(pids, "pids.current"), "utf8"))).toBeLessThan(128);
    expect((await run("true", [])).stdout).toBe("");
  });

  it("memory bomb: QEMU never takes more than the lease; the guest kills its own", async () => {
    const going = await rent(await box("echo begun; dd if=/dev/zero of=/dev/null bs=1G count=1 2>&1; echo survived; sleep 600"));
    await until(() => going.seen.stdout.includes("survived"));
    const { memory } = await cgroupOf();
    const limit = Number(
      await readFile(path.join(memory, "memory.limit_in_bytes"), "utf8").catch(() => readFile(path.join(memory, "memory.max"), "utf8")),
    );
    expect(limit).toBe(384 * 1024 * 1024);
    const peak = Number(await readFile(path.join(memory, "memory.max_usage_in_bytes"), "utf8").catch(() => "0"));
    expect(peak).toBeLessThanOrEqual(limit);
  });

  it("memory beyond the lease, by QEMU itself: the lease ends with its own reason", async () => {
    const wants = "exec </dev/ttyS0; echo begun; read go; dd if=/dev/zero of=/dev/null bs=120M count=1; sleep 600";
    const going = await rent(await kernelMachine(await initrd(wants)));
    await until(() => going.seen.stdout.includes("begun"));
    const { memory } = await cgroupOf();
    const [limit, usage] = (await readdir(memory)).includes("memory.max")
      ? ["memory.max", "memory.current"]
      : ["memory.limit_in_bytes", "memory.usage_in_bytes"];
    // as if QEMU needed more than it has: the limit comes down to what it uses now, and then the guest wants what it was sold
    const now = Number(await readFile(path.join(memory, usage!), "utf8"));
    await writeFile(path.join(memory, limit!), String(now + 4 * 1024 * 1024));
    await going.session.machine.input(Buffer.from("go\n"));
    expect((await going.end()).lease.end).toMatchObject({ reason: "memory-limit", blame: "customer" });
  });

  it("disk filler: stops at the disk that was bought", async () => {
    const going = await rent(await box("dd if=/dev/urandom of=/fill bs=1M 2>/dev/null; echo full; sleep 600"));
    await until(() => going.seen.stdout.includes("full"));
    const at = machineFolder(going.session.lease);
    expect((await stat(path.join(at, "box/disk.qcow2"))).size).toBeLessThan(72 * 1024 * 1024);
    await stopAll(market);
    await until(async () => !(await readdir(path.join(at, "box"))).includes("disk.qcow2"));
  });

  it("console flood and output flood: end the lease at its limit", async () => {
    const loud = await (await rent(await box("yes a-long-line-of-output-that-goes-on-and-on"))).end();
    expect(loud.lease.end).toMatchObject({ reason: "output-limit", blame: "customer" });
    expect(loud.stdout.length).toBeLessThan(64 * 1024 * 1024);
    const console = await (
      await rent(await kernelMachine(await initrd("while :; do cat /proc/kallsyms; done"), { outputMibMax: 1 }))
    ).end();
    expect(console.lease.end).toMatchObject({ reason: "output-limit" });
  });

  it("reach for the owner's network, the host and the broker: nothing answers", async () => {
    const reached: string[] = [];
    const listen = (host: string): Promise<Server> =>
      new Promise((resolve) => {
        const server = createServer((socket) => {
          reached.push(host);
          socket.end("owner's secret");
        });
        server.listen(80, host, () => resolve(server));
      });
    const own = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
    const servers = await Promise.all([listen("127.0.0.1"), ...(own ? [listen(own)] : [])]);
    const broker = new URL(market.broker.url);
    const targets = [
      `10.0.2.2 80`,
      "127.0.0.1 80",
      "169.254.169.254 80",
      "192.168.1.1 80",
      "10.0.0.1 443",
      `10.0.2.2 ${broker.port}`,
      ...(own ? [`${own} 80`] : []),
    ];
    const script = `${targets.map((target) => `echo "${target}: $(echo GET | timeout 3 nc -w 2 ${target} 2>&1 | head -c 40)"`).join("; ")}; echo done`;
    for (const egress of ["none", "public"] as const) {
      const job = await box(script, { network: true, egress });
      const end = await (await rent(job)).end();
      expect(end.stdout).toContain("done");
      expect(end.stdout).not.toContain("secret");
    }
    expect(reached).toEqual([]);
    for (const server of servers) server.close();
  });

  it("packet flood: stays in its own namespace, and the daemon goes on", async () => {
    const flood = await initrd(
      "ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2; echo begun; while :; do dd if=/dev/zero bs=1400 count=2000 2>/dev/null | nc -u -w 1 10.0.2.2 9 ; done",
      NETWORK_MODULES,
    );
    const going = await rent(await kernelMachine(flood, { network: true, egress: "public" }));
    await until(() => going.seen.stdout.includes("begun"));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const [pid] = await qemus(market.folder);
    const inside = (await run("ps", ["--ppid", String(pid), "-o", "pid="])).stdout.trim().split("\n")[0]!.trim();
    const { stdout } = await run("nsenter", ["--target", inside, "--net", "ip", "-br", "link"]);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => line.split(/\s+/)[0]),
    ).toEqual(["lo"]);
    const other = await (await rent(await box("echo neighbour"))).end();
    expect(other.lease.end).toMatchObject({ reason: "completed", exitCode: 0 });
  });

  it("guest agent that lies: nonsense, floods and silence are told to its customer as such, and nothing else happens", async () => {
    const liar = await initrd(
      'for d in /sys/class/virtio-ports/*; do [ "$(cat $d/name)" = org.qemu.guest_agent.0 ] && p=/dev/$(basename $d); done; echo begun $p; cat $p > /dev/null & yes \'{"return": 1}\' > $p',
      ["virtio_pci", "virtio_console"],
    );
    const going = await rent(await kernelMachine(liar));
    await until(() => going.seen.stdout.includes("begun /dev/vport"));
    await expect(going.session.machine.ask("agent", { command: "guest-ping", arguments: {} })).rejects.toThrow(/no agent answers/);
    await expect(going.session.machine.ask("agent", { command: "quit", arguments: {} })).rejects.toThrow(/no request to the guest agent/);
    expect(market.daemon.server.state.connected).toBe(true);
  });

  it("QEMU itself owns nothing: no capabilities, no privileges to gain, its own user, seccomp, none of the host's files", async () => {
    const going = await rent(await box("echo begun; sleep 600"));
    await until(() => going.seen.stdout.includes("begun"));
    const [pid] = await qemus(market.folder);
    const inside = (await run("ps", ["--ppid", String(pid), "-o", "pid="])).stdout.trim().split("\n")[0]!.trim();
    const status = await readFile(`/proc/${inside}/status`, "utf8");
    const of = (key: string): string => new RegExp(`^${key}:\\s+(.*)$`, "m").exec(status)![1]!;
    expect(of("CapEff")).toMatch(/^0+$/);
    expect(of("CapBnd")).toMatch(/^0+$/);
    expect(of("NoNewPrivs")).toBe("1");
    expect(of("Seccomp")).toBe("2");
    if (process.getuid!() === 0) expect(Number(of("Uid").split(/\s+/)[0])).toBeGreaterThan(1_000_000);
    const root = await readdir(`/proc/${inside}/root`);
    expect(root).not.toContain("home");
    expect(root).not.toContain("root");
    await expect(readFile(`/proc/${inside}/root/etc/shadow`)).rejects.toThrow();
    expect((await readdir(`/proc/${inside}/root/dev`)).sort()).toEqual(["null", "urandom", "zero"]);
  });
});
