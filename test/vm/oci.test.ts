/** OCI images as guests: from a registry, a layout, an archive, with what container engines promise; and what is refused. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until, type TestMarket } from "../process/market.ts";
import { startProxy, type Upstream } from "../registry/proxy.ts";
import { push, startRegistry, type TestRegistry } from "./registry.ts";
import { busyboxLayout, cliHome, machines, run, vmMarket } from "./support.ts";

/** Seconds that a guest's clock may differ from the host's. */
const CLOCK_OFF_BY = 5;

const xenoProgram = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");

machines("OCI images", () => {
  let market: TestMarket;
  let cli: Awaited<ReturnType<typeof cliHome>>;
  let folder: string;
  let layout: string;
  let registry: TestRegistry;
  let locked: TestRegistry;
  let digest: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-oci-test-"));
    layout = await busyboxLayout(folder);
    registry = await startRegistry(path.join(folder, "registry"));
    locked = await startRegistry(path.join(folder, "locked"), "secret-password");
    digest = await push(registry, layout, "box", "box");
    await push(locked, layout, "box", "private/box");
    market = await vmMarket();
    cli = await cliHome(market);
  });
  afterAll(async () => {
    registry.child.kill();
    locked.child.kill();
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });
  const xeno = (...args: string[]) => cli.xeno("run", "--accel", "any", "--mem", "192M", "--disk", "256M", ...args);

  it("runs an image by its tag like a container: digest printed, environment, user, folder, layers, both streams, exit code, files back", async () => {
    const out = path.join(folder, "out");
    const script = "echo to stdout; echo to stderr >&2; id -u; pwd; env | grep FROM; ls /data; cat /proc/1/comm; exit 9";
    const ran = await xeno("--out", out, "--env", "FROM_ORDER=too", `${registry.host}/box`, "--", "sh", "-c", script);
    expect(ran.stderr).toContain(digest);
    expect(ran.stderr).toContain("nothing proves what an ordinary machine did");
    expect(ran.stdout.split("\n")).toEqual(
      expect.arrayContaining(["to stdout", "33", "/srv", "FROM_IMAGE=yes", "FROM_ORDER=too", "kept", "new"]),
    );
    expect(ran.stdout).not.toContain("gone");
    expect(ran.stderr).toContain("to stderr");
    expect(ran.code).toBe(9);
  });

  it("brings a script and inputs in, and what it leaves in /out back", async () => {
    const script = path.join(folder, "job.sh");
    await writeFile(script, "echo argument $1; cat /in/a; wc -c < /in/big; mkdir -p /out/deep; echo result > /out/deep/r; exit 0");
    const input = path.join(folder, "input");
    await run("mkdir", ["-p", input]);
    await writeFile(path.join(input, "a"), "from the input\n");
    await writeFile(path.join(input, "big"), Buffer.alloc(3_000_000, 7));
    const out = path.join(folder, "out2");
    const ran = await xeno("--user", "root", "--in", input, "--out", out, `oci:${layout}:box`, script, "one");
    expect(ran).toMatchObject({ code: 0, stdout: "argument one\nfrom the input\n3000000\n" });
    expect(await readFile(path.join(out, "deep/r"), "utf8")).toBe("result\n");
  });

  it("starts from a snapshot the next time, with random numbers, clock and machine id of its own", async () => {
    const ask = "cat /etc/machine-id; head -c 16 /dev/urandom | xxd -p; date +%s; cat /proc/uptime";
    const quick = async () => {
      const before = Math.floor(Date.now() / 1_000);
      const ran = await xeno("--user", "root", `oci:${layout}:box`, "--", "sh", "-c", ask);
      const [id, random, time] = ran.stdout.split("\n");
      const used = /for ([\d.]+) s,/.exec(ran.stderr)?.[1];
      return { id, random, time: Number(time), before, after: Math.ceil(Date.now() / 1_000), used: Number(used) };
    };
    const runs = [await quick(), await quick(), await quick()];
    expect(new Set(runs.map(({ id }) => id)).size).toBe(3);
    expect(new Set(runs.map(({ random }) => random)).size).toBe(3);
    for (const { time, before, after } of runs) {
      expect(time).toBeGreaterThanOrEqual(before - CLOCK_OFF_BY);
      expect(time).toBeLessThanOrEqual(after + CLOCK_OFF_BY);
    }
    const { readdir } = await import("node:fs/promises");
    const kept = path.join(market.folder, "server/vm/snapshots");
    const names = await readdir(kept);
    expect(names.length).toBeGreaterThan(0);
    // dropped by another's while it is used
    for (const name of names) await rm(path.join(kept, name, "disk.qcow2"));
    expect((await quick()).id).toMatch(/^[0-9a-f]{32}$/);
  });

  it("goes on in a fork as the job it was: its own output from there on, its own random numbers, its own end", async () => {
    // it goes on until its customer lets it end
    const script =
      "i=0; until test -e /end; do i=$((i+1)); echo tick $i; sleep 0.2; done; echo last $i; head -c 16 /dev/urandom | xxd -p; date +%s; exit 3";
    const lease = (await xeno("--detach", "-q", "--user", "root", `oci:${layout}:box`, "--", "sh", "-c", script)).stdout.trim();
    await until(async () => (await cli.xeno("logs", lease)).stdout.includes("tick 5\n"));
    const before = Math.floor(Date.now() / 1_000);
    const forked = await cli.xeno("lease", "fork", lease, "1", "--json");
    expect(forked.code, `${forked.stdout}${forked.stderr} ${market.log.slice(-8).join("\n")}`).toBe(0);
    const [fork] = (JSON.parse(forked.stdout) as { leases: string[] }).leases;
    for (const id of [lease, fork!]) {
      await until(async () => (await cli.xeno("logs", id)).stdout.includes("tick"));
      await cli.xeno("exec", id, "--", "touch", "/end"); // its machine may be gone before the answer came
    }
    const ended = async (id: string) => (await cli.client.read("lease", { params: { id } })).end;
    await until(async () => (await ended(lease)) !== null && (await ended(fork!)) !== null);
    expect([await ended(lease), await ended(fork!)]).toMatchObject([
      { reason: "completed", exitCode: 3 },
      { reason: "completed", exitCode: 3 },
    ]);
    const [first, second] = [
      (await cli.xeno("logs", lease)).stdout.trim().split("\n"),
      (await cli.xeno("logs", fork!)).stdout.trim().split("\n"),
    ];
    expect(first[0]).toBe("tick 1");
    expect(second[0]).toMatch(/^tick ([6-9]|\d\d+)$/);
    expect(second.at(-3)).toMatch(/^last \d+$/);
    expect(second.at(-2)).not.toBe(first.at(-2));
    expect(Number(second.at(-1))).toBeGreaterThanOrEqual(before - CLOCK_OFF_BY);
  });

  it("takes a private image with the password of its registry, an archive, and an entrypoint", async () => {
    process.env["XENO_REGISTRY_USER"] = "carl";
    process.env["XENO_REGISTRY_PASSWORD"] = "secret-password";
    const ran = await xeno(`${locked.host}/private/box`, "--", "echo", "let in");
    delete process.env["XENO_REGISTRY_USER"];
    delete process.env["XENO_REGISTRY_PASSWORD"];
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: "let in\n" });
    expect(ran.stderr).not.toContain("secret-password");
    const archive = path.join(folder, "box.tar");
    await run("skopeo", ["--insecure-policy", "copy", `oci:${layout}:box`, `docker-archive:${archive}:r.example/box:v1`]);
    await run("gzip", [archive]);
    const entered = await xeno("--entrypoint", "echo", "--image", `archive:${archive}.gz:box:v1`, "--", "by entrypoint");
    expect(entered).toMatchObject({ code: 0, stdout: "by entrypoint\n" });
  });

  it("runs an image of a registry that has a bad day, and says what it waits for", async () => {
    const upstream: Upstream = async (at) => {
      const response = await fetch(`http://${registry.host}${at}`, { headers: { accept: "application/vnd.oci.image.manifest.v1+json" } });
      return {
        status: response.status,
        type: response.headers.get("content-type") ?? "",
        bytes: Buffer.from(await response.arrayBuffer()),
      };
    };
    const proxy = await startProxy(upstream, () => ({ kind, times, from, bytes, say, cut, pass }) => {
      if (kind === "manifest" && times === 1) return say(429, { "retry-after": "1" });
      if (kind === "blob" && from === 0 && bytes.length > 100_000) return cut(bytes.length / 2);
      return pass();
    });
    const fresh = await cliHome(market);
    const ran = await fresh.xeno("run", "--accel", "any", "--mem", "192M", "--disk", "256M", `${proxy.host}/box`, "--", "echo", "it runs");
    await proxy.close();
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: "it runs\n" });
    expect(ran.stderr).toMatch(/too many requests \(429\); again in 1\.\d s/);
    expect(ran.stderr).toMatch(/fetching layer 1 of \d, \d/);
    expect(ran.stderr).toMatch(/broke off .*; again in/);
    expect(proxy.log.some(({ range }) => range !== undefined)).toBe(true);
  });

  it("reads what is piped in while it runs, and is one's own terminal with -it", async () => {
    const words = ["run", "-q", "--accel", "any", "--mem", "192M", "--disk", "256M", "--user", "root"];
    const image = `oci:${layout}:box`;
    const begin = (program: string, args: string[]) => {
      const child = spawn(program, args, {
        env: { ...process.env, XENO_HOME: cli.home, NO_COLOR: "1" },
        stdio: ["pipe", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      return { child, ended, said: () => said, says: (text: string) => until(() => Promise.resolve(said.includes(text))) };
    };
    const piped = begin("bash", [
      "-c",
      `cat | "$@"`,
      "-",
      process.execPath,
      xenoProgram,
      ...words,
      image,
      "--",
      "sh",
      "-c",
      "while read l; do echo got $l; done; echo over",
    ]);
    piped.child.stdin.write("one\n");
    await piped.says("got one");
    piped.child.stdin.end("two\n");
    expect([await piped.ended, piped.said()]).toEqual([0, "got one\ngot two\nover\n"]);

    const typed = [process.execPath, xenoProgram, ...words, "-it", image, "sh"].map((word) => `'${word}'`).join(" ");
    const terminal = begin("script", ["-qec", `stty rows 30 cols 100; ${typed}; echo code $?; stty -a`, "/dev/null"]);
    terminal.child.stdin.write("stty size; tty; id -u\r");
    await terminal.says("/dev/pts/0");
    terminal.child.stdin.write("echo sl''eeps; sleep 1000\r");
    await terminal.says("sleeps");
    terminal.child.stdin.write("\x03");
    await terminal.says("^C");
    terminal.child.stdin.write("exit 4\r");
    await terminal.says("code 4");
    await terminal.says("icanon");
    terminal.child.stdin.end();
    await terminal.ended;
    expect(terminal.said()).toContain("30 100");
    expect(terminal.said()).toMatch(/[^-]icanon/); // as it was found
  });

  it("is stopped by its own signal, and its own exit code is the lease's; programs executed in it are among its processes", async () => {
    const script = "trap 'echo kept > /out/a; exit 7' USR1; echo begun; while :; do sleep 0.1; done";
    const lease = (
      await xeno("--detach", "-q", "--user", "root", "--stop-signal", "USR1", `oci:${layout}:box`, "--", "sh", "-c", script)
    ).stdout.trim();
    await until(async () => (await cli.xeno("logs", lease)).stdout.includes("begun"));
    const inside = await cli.xeno(
      "exec",
      lease,
      "--",
      "/bin/sh",
      "-c",
      "cat /proc/1/comm; (readlink /proc/self/ns/pid; readlink /proc/1/ns/pid) | uniq | wc -l",
    );
    expect(inside, inside.stderr).toMatchObject({ code: 0, stdout: "sh\n1\n" });
    expect((await cli.xeno("lease", "stop", lease)).stdout).toContain("customer-stop");
    const out = path.join(folder, "stopped");
    const attached = await cli.xeno("attach", lease, "--out", out);
    expect(attached.code, attached.stderr).toBe(7);
    expect(await readFile(path.join(out, "a"), "utf8")).toBe("kept\n");
  });

  it("says what is wrong with an image before any money is held", async () => {
    const says = async (...words: string[]) => {
      const ran = await xeno(...words);
      expect(ran.code).toBe(125);
      return ran.stderr;
    };
    expect(await says(`${registry.host}/box:nowhere`)).toContain("has no nowhere");
    expect(await says(`${registry.host}/nothing`)).toContain("has no latest");
    expect(await says(`${locked.host}/private/box`)).toMatch(/not there, or not for you: log in/);
    expect(await says("127.0.0.1:1/box")).toContain("cannot be reached");
    expect(await says(`oci:${folder}/nothing`)).toContain("there is no file and no folder");
    expect(await says(`archive:${layout}/index.json`)).toMatch(/no archive of an OCI image|no OCI image layout/);
    expect(await says("Not An Image")).toContain("neither a .wasm module");
    const { balances } = await cli.client.read("accounts");
    expect(balances.held).toBe("0");
  });

  it("refuses an image for another architecture, and bytes that were changed on the way", async () => {
    const arm = path.join(folder, "arm");
    await run("cp", ["-r", layout, arm]);
    await run("umoci", ["config", "--image", `${arm}:box`, "--architecture", "arm64"]);
    const wrong = await xeno(`oci:${arm}:box`, "--", "true");
    expect(wrong.stderr).toContain("linux/arm64; servers run linux/amd64");
    const bad = path.join(folder, "bad");
    await run("cp", ["-r", layout, bad]);
    const index = JSON.parse(await readFile(path.join(bad, "index.json"), "utf8")) as { manifests: { digest: string }[] };
    const manifest = JSON.parse(await readFile(path.join(bad, "blobs/sha256", index.manifests[0]!.digest.slice(7)), "utf8")) as {
      layers: { digest: string }[];
    };
    const layer = path.join(bad, "blobs/sha256", manifest.layers[0]!.digest.slice(7));
    const bytes = await readFile(layer);
    bytes[100]! ^= 1;
    await writeFile(layer, bytes);
    await rm(path.join(cli.home, "data/oci"), { recursive: true, force: true });
    const fresh = await cliHome(market);
    const changed = await fresh.xeno("run", "--accel", "any", `oci:${bad}:box`, "--", "true");
    expect(changed.code).toBe(125);
    expect(changed.stderr).toContain("does not have the digest that its manifest states");
  });
});
