/**
 * The same input for two leases of one customer on one server, by real programs through a broker on loopback, as anyone starts them: how
 * long until all of it is there, and how many bytes went, by the second beside the first.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Programs, told } from "../test/process/programs.ts";
import { until } from "../test/until.ts";
import { SMALLEST_MODULE } from "../test/support/smallest-module.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const MIB = 1024 * 1024;
const INPUT_MIB = 256;
const ROUNDS = 5;
/** At most half as long as the first. */
const SHARE_MAX = 0.5;
/** What is less than a MiB goes again. */
const SENT_SHARE_MAX = 0.01;

const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: MIB };

interface Sent {
  ms: number;
  bytes: number;
}

/** Bytes that nobody has seen before. */
async function fill(file: string): Promise<void> {
  await rm(file, { force: true });
  for (let i = 0; i < INPUT_MIB; i += 64) await appendFile(file, randomBytes(64 * MIB));
}

/** Until all of it is at the server, reading, order and lease included. */
async function sent(programs: Programs, args: string[]): Promise<Sent> {
  const begun = performance.now();
  const { child, seen, done } = programs.xeno("customer", args);
  let over = false;
  void done.then(() => (over = true));
  for (;;) {
    const [, said, unit = ""] = /\nsent +(nothing|[\d.]+)(?: (\w+))?,/.exec(seen.stderr) ?? [];
    if (said !== undefined) {
      const ms = performance.now() - begun;
      await done;
      await noLeases(programs);
      return { ms, bytes: said === "nothing" ? 0 : Number(said) * (UNITS[unit] ?? Number.NaN) };
    }
    if (over) throw new Error(`nothing was said of what was sent: ${seen.stderr}`);
    await Promise.race([once(child.stderr!, "data"), done]);
  }
}

const noLeases = (programs: Programs): Promise<void> =>
  until(async () => (JSON.parse(await programs.ok("customer", ["ps", "--json"])) as { leases: unknown[] }).leases.length === 0);

export async function again(): Promise<Figure[]> {
  const programs = await Programs.open();
  const [folder, module] = [programs.at("in"), programs.at("job.wasm")];
  await mkdir(folder);
  await writeFile(module, SMALLEST_MODULE);
  const broker = await programs.startBrokerByHand();
  const server = await programs.startServer("--enrol", await programs.people());
  const rounds: [first: Sent, second: Sent][] = [];
  for (let i = 0; i < ROUNDS; i++) {
    await fill(path.join(folder, "input"));
    const args = ["run", module, "--in", folder, "--mem", "256M", "--disk", "300M"];
    rounds.push([await sent(programs, args), await sent(programs, args)]);
  }
  await told(server);
  await told(broker);
  await programs.remove();
  const median = (of: (round: [Sent, Sent]) => number): number => quantile(rounds.map(of), 0.5);
  const peer = "the first lease";
  return [
    report(
      `${INPUT_MIB} MiB for a second lease`,
      median(([, { ms }]) => ms),
      "ms",
      { peer, peerValue: median(([{ ms }]) => ms) },
      SHARE_MAX,
    ),
    report(
      "sent for it",
      median(([, { bytes }]) => bytes),
      "bytes",
      { peer, peerValue: median(([{ bytes }]) => bytes) },
      SENT_SHARE_MAX,
    ),
  ];
}
