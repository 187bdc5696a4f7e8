/**
 * A job's inputs from its customer's disk to its server's, by real programs through a broker on loopback, as anyone starts them: beside
 * `scp` of the same file through a real sshd in the same run. Where sshd is missing it says so and measures nothing.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import path from "node:path";
import { Programs, told } from "../test/process/programs.ts";
import { until } from "../test/until.ts";
import { SMALLEST_MODULE } from "../test/support/smallest-module.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const MIB = 1024 * 1024;
const INPUT_MIB = 1024;
const ROUNDS = 3;
const SSHD = "/usr/sbin/sshd";
/** At least half as fast as `scp`. */
const SLOWER_MAX = 2;

async function ended(child: ChildProcess): Promise<void> {
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${child.spawnargs.join(" ")} ended with ${code}`);
}

const run = (program: string, ...args: string[]): Promise<void> => ended(spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] }));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Bytes that nobody has seen before: nothing is gone on with. */
async function fill(file: string): Promise<void> {
  await rm(file, { force: true });
  for (let i = 0; i < INPUT_MIB; i += 64) await appendFile(file, randomBytes(64 * MIB));
}

/** A real sshd of this user's, for this user alone. */
async function sshd(folder: string) {
  const [host, user] = [path.join(folder, "host"), path.join(folder, "user")];
  await mkdir(folder, { recursive: true });
  await mkdir("/run/sshd", { recursive: true }).catch(() => {}); // where it leaves its privileges, as root
  for (const key of [host, user]) await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key);
  const port = await freePort();
  const config = path.join(folder, "config");
  const lines = [
    ...[`Port ${port}`, "ListenAddress 127.0.0.1", `HostKey ${host}`, `AuthorizedKeysFile ${user}.pub`, "PidFile none"],
    ...["StrictModes no", "UsePAM no", "PasswordAuthentication no", "Subsystem sftp internal-sftp"],
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  const child = spawn(SSHD, ["-D", "-e", "-f", config], { stdio: ["ignore", "ignore", "pipe"] });
  for await (const said of child.stderr) if (String(said).includes("listening")) break;
  child.stderr.resume();
  const options = ["-o", "StrictHostKeyChecking=no", "-o", `UserKnownHostsFile=${path.join(folder, "known")}`, "-o", "LogLevel=ERROR"];
  return {
    copy: (from: string, to: string) => run("scp", "-q", "-P", String(port), "-i", user, ...options, from, `127.0.0.1:${to}`),
    async close() {
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

/** Until all of it is at the server, hashing, order and lease included; what its program does then is another figure's. */
async function sent(programs: Programs, args: string[]): Promise<void> {
  const { child, seen, done } = programs.xeno("customer", args);
  let over = false;
  void done.then(() => (over = true));
  for (;;) {
    if (seen.stderr.includes("\nsent ")) return;
    if (over) throw new Error(`nothing was sent: ${seen.stderr}`);
    await Promise.race([once(child.stderr!, "data"), done]);
  }
}

/** No lease is open any more. */
function settled(programs: Programs): Promise<void> {
  return until(async () => (JSON.parse(await programs.ok("customer", ["ps", "--json"])) as { leases: unknown[] }).leases.length === 0);
}

async function timed(what: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await what();
  return performance.now() - begun;
}

export async function transfer(): Promise<Figure[]> {
  if (!existsSync(SSHD)) {
    console.error(`SKIPPED: uploads are measured beside sshd, and there is no ${SSHD}: apt-get install openssh-server`);
    return [];
  }
  const programs = await Programs.open();
  const [folder, module] = [programs.at("in"), programs.at("job.wasm")];
  await mkdir(folder);
  const [file, copy] = [path.join(folder, "input"), programs.at("copy")];
  await writeFile(module, SMALLEST_MODULE);
  const broker = await programs.startBrokerByHand();
  const server = await programs.startServer("--enrol", await programs.people());
  const ssh = await sshd(programs.at("ssh"));
  const times: [ours: number[], scp: number[]] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    await fill(file);
    times[0].push(await timed(() => sent(programs, ["run", module, "--in", folder, "--mem", "256M", "--disk", "1100M"])));
    await settled(programs);
    times[1].push(await timed(() => ssh.copy(file, copy)));
  }
  await ssh.close();
  await told(server);
  await told(broker);
  await programs.remove();
  const [value, peerValue] = times.map((each) => quantile(each, 0.5)) as [number, number];
  return [report(`1 GiB of inputs`, value, "ms", { peer: "scp", peerValue }, SLOWER_MAX)];
}
