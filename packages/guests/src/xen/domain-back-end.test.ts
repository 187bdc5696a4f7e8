/** Which threads of dom0's kernel are held for a domain, and to what; beside files such as the kernel has for it (a real one: test/xen). */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BackEndThreads, domainOfThread } from "./back-end-threads.ts";
import { DomainBackEnd } from "./domain-back-end.ts";

it.each<[string, number | null]>([
  ["1.xvda-0", 1],
  ["32751.xvdc-11", 32_751],
  ["vif12.0-q0-guest", 12],
  ["vif12.0-q0-deall", 12],
  ["1.5GHz", null],
  ["kworker/0:1", null],
  ["vif1", null],
  ["123456.xvda-0", null],
])("a thread of the name %s works for %s", (name, id) => expect(domainOfThread(name)).toBe(id));

describe("what dom0's kernel does for a domain", () => {
  let folder: string;
  let backEnd: DomainBackEnd;
  const group = (): string => path.join(folder, "group");
  const said = (name: string): Promise<string> => readFile(path.join(group(), name), "utf8");

  async function thread(pid: string, name: string): Promise<void> {
    await mkdir(path.join(folder, "proc", pid), { recursive: true });
    await writeFile(path.join(folder, "proc", pid, "comm"), `${name}\n`);
    await writeFile(path.join(folder, "proc/2/task/2/children"), (await readdir(path.join(folder, "proc"))).join(" "));
  }
  async function device(name: string, numbers: string): Promise<void> {
    await mkdir(path.join(folder, "devices", name), { recursive: true });
    await writeFile(path.join(folder, "devices", name, "physical_device"), `${numbers}\n`);
  }
  const open = (groupOf = async (): Promise<string | null> => group()): DomainBackEnd =>
    new DomainBackEnd("xeno-one", 2, {
      threads: new BackEndThreads(path.join(folder, "proc")),
      ...{ rates: { iopsMax: 20, bytesPerSecondMax: 3_000 }, groupOf, devices: path.join(folder, "devices") },
    });

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-back-end-"));
    await mkdir(path.join(folder, "proc/2/task/2"), { recursive: true });
    await thread("10", "kworker/0:0");
    await thread("11", "1.xvda-0");
    await thread("12", "11.xvda-0");
    await device("vbd-1-51712", "7:1f");
    await device("vbd-11-51712", "7:2");
    backEnd = open();
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("is in its group, by its number alone, with the bounds of its disks", async () => {
    await backEnd.hold(1);
    expect(await said("cgroup.procs")).toBe("11");
    expect(await said("io.max")).toBe("7:31 rbps=3000 wbps=3000 riops=20 wiops=20");
    expect(await said("cpu.weight")).toBe("200");
    await writeFile(path.join(group(), "cpu.stat"), "usage_usec 2500000\nuser_usec 0\n");
    expect(await backEnd.cpuSeconds()).toBe(2.5);
  });

  it("comes into it also where its drivers connect anew, and is left alone where all of it is there", async () => {
    await backEnd.hold(1);
    await rm(group(), { recursive: true });
    await backEnd.hold(1);
    expect(await readdir(folder)).not.toContain("group");
    await thread("13", "1.xvda-0");
    const other = open();
    await other.hold(1);
    expect(await said("cgroup.procs")).toBe("13");
  });

  it("is as it is where the host has no such groups, or the domain nothing that works for it", async () => {
    const none = open(async () => null);
    await none.hold(1);
    expect(await none.cpuSeconds()).toBeNull();
    await backEnd.hold(5);
    expect(await readdir(folder)).not.toContain("group");
    expect(await backEnd.cpuSeconds()).toBeNull();
  });
});
