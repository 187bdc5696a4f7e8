/**
 * Two real servers of one owner and their broker, of which one is killed in the middle of a move, at a stage that their journals or the
 * bytes between them name. One lease goes through it all: its guest counts, and says at its end whether memory and disk are as they were.
 */
import type { ChildProcess } from "node:child_process";
import { access, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../process/market.ts";
import { Programs, kill9, told, type Started } from "../process/programs.ts";
import { freePort } from "../support/free-port.ts";
import { isThorough } from "../thorough.ts";
import { MoveProxy } from "./move-proxy.ts";
import { VM_TOML, busyboxLayout, endMachines, machines, qemus } from "./support.ts";

/** Ticks until it is told to end; then what is in its memory and on its disk must be what it was at first. */
const GUEST = [
  "m=$(head -c 60000 /dev/urandom | xxd -p); s=$(echo $m | sha256sum); i=0",
  "head -c 4000000 /dev/urandom > /out/file; sha256sum < /out/file > /out/sum",
  "read up rest < /proc/uptime; echo tick 0 $up",
  "while ! read -t 1 word; do i=$((i+1)); read up rest < /proc/uptime; echo tick $i $up; done",
  '[ "$(echo $m | sha256sum)" = "$s" ] && [ "$(sha256sum < /out/file)" = "$(cat /out/sum)" ] || exit 9',
  "read up rest < /proc/uptime; echo end $up; exit 5",
].join("\n");

type Victim = "giver" | "taker" | "broker";
const STAGES = ["asked", "carried in part", "restored", "handed over", "takeover signed", "moved"] as const;
type Stage = (typeof STAGES)[number];

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** One of both servers, as a program. */
class Side {
  readonly name: string;
  readonly programs: Programs;
  readonly port: number;
  #started!: Started;
  id = "";

  constructor(programs: Programs, name: string, port: number) {
    this.programs = programs;
    this.name = name;
    this.port = port;
  }

  get folder(): string {
    return this.programs.at(this.name);
  }
  get log(): string {
    return this.#started.seen.stdout + this.#started.seen.stderr;
  }
  get child(): ChildProcess {
    return this.#started.child;
  }

  async start(...args: string[]): Promise<void> {
    this.#started = await this.programs.serveIn(this.name, ...args);
    this.id = /s_[0-9a-f]{40}/.exec(this.log)![0];
  }

  /** Enrolled under a token of its owner's. */
  async enrol(token: string): Promise<void> {
    await this.programs.place(this.name, `${VM_TOML}[move]\nlisten = "127.0.0.1:${this.port}"\n`);
    await this.start("--enrol", token);
  }

  kill(): Promise<void> {
    return kill9(this.child);
  }

  /** As its journal has it; null where it has none. */
  async record(lease: string): Promise<Record<string, unknown> | null> {
    const text = await readFile(path.join(this.folder, "leases", lease, "lease.json"), "utf8").catch(() => null);
    return text === null ? null : (JSON.parse(text) as Record<string, unknown>);
  }

  machineAt(lease: string, ...more: string[]): string {
    return path.join(this.folder, "vm/machines", lease.slice(0, 24), ...more);
  }

  owner(...args: string[]): Promise<string> {
    return this.programs.ok("owner", ["server", ...args, "--data", this.folder]);
  }

  async listed(): Promise<void> {
    await until(async () => (await (await fetch(new URL("/api/v1/offers", this.programs.url))).text()).includes(this.id));
  }
}

if (!isThorough)
  console.warn("SKIPPED: killing servers and broker in the middle of a real move takes a quarter of an hour; XENO_THOROUGH=1 runs it");
(isThorough ? machines : describe.skip)("a machine that moves while somebody is killed", () => {
  let programs: Programs;
  let broker: ChildProcess;
  let sides: [Side, Side];
  let folder: string;
  let out: string;
  let job: Started;
  let lease: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-move-kills-"));
    const layout = await busyboxLayout(folder);
    out = path.join(folder, "out");
    programs = await Programs.open("");
    broker = await programs.startBroker();
    sides = [new Side(programs, "first", await freePort()), new Side(programs, "second", await freePort())];
    await sides[0].enrol(await programs.people());
    await sides[0].listed();
    const words = ["--mem", "192M", "--disk", "64M", "--accel", "any", "--max-time", "1h", "--user", "root", "--out", out, "-i"];
    job = programs.xenoFed("customer", ["run", ...words, `oci:${layout}:box`, "--", "sh", "-c", GUEST]);
    await until(() => job.seen.code !== null || job.seen.stdout.includes("tick 2 "));
    expect(job.seen.code, job.seen.stderr).toBeNull();
    lease = (await readdir(path.join(sides[0].folder, "leases")))[0]!;
    await sides[1].enrol((await programs.ok("owner", ["token", "create", "--server"])).trim());
    await sides[1].listed();
  });
  afterAll(async () => {
    job.child.kill("SIGKILL");
    for (const side of sides) await kill9(side.child);
    await endMachines(programs.folder);
    await kill9(broker);
    await programs.remove();
    await rm(folder, { recursive: true, force: true });
  });

  const ticks = (): number => job.seen.stdout.split("\ntick ").length;
  /** It has counted on, so that it runs somewhere. */
  async function goesOn(): Promise<void> {
    const before = ticks();
    await until(() => ticks() > before + 1 || job.seen.code !== null);
    expect(job.seen.code, `${job.seen.stdout}${job.seen.stderr}${sides[0].log}${sides[1].log}`).toBeNull();
  }

  /** The side where it runs, once it is known everywhere that it runs there alone. */
  async function settled(): Promise<[Side, Side]> {
    await goesOn();
    await until(async () => (await qemus(programs.folder)).length === 1);
    // a machine that has ended is removed after that
    const has = (): Promise<boolean[]> => Promise.all(sides.map((side) => isThere(side.machineAt(lease))));
    await until(async () => (await has()).filter(Boolean).length === 1);
    const [here, there] = (await has())[0] ? sides : [sides[1], sides[0]];
    await until(async () => (await there.record(lease)) === null);
    expect(await readdir(path.join(there.folder, "vm/machines"))).toEqual([]);
    await until(async () => (await here.record(lease))?.["handover"] == null);
    expect(await isThere(here.machineAt(lease, "carried"))).toBe(false);
    return [here, there];
  }

  interface Move {
    giver: Side;
    taker: Side;
    proxy: MoveProxy;
    drain: Started;
  }

  /** Brings a move to that stage, and holds it there. */
  async function brought({ giver, taker, proxy, drain }: Move, stage: Stage): Promise<void> {
    const holds = (condition: () => Promise<boolean>) =>
      until(async () => {
        if (drain.seen.code !== null) throw new Error(`it has ended before: ${drain.seen.stdout}${drain.seen.stderr}`);
        return condition();
      });
    const signed = (side: Side, what: string) => holds(async () => (await side.record(lease))?.[what] != null);
    const arriving = path.join(taker.folder, "vm/machines", `arriving-${lease.slice(0, 24)}`);
    const at = STAGES.indexOf(stage);
    proxy.holdAfter(stage === "asked" ? 200_000 : 20_000_000);
    await holds(async () => proxy.isHeld && (await isThere(arriving)));
    if (at <= 1) return;
    // no claim is receipted, so that nothing is handed over
    await kill9(broker);
    proxy.release("there");
    await holds(async () => (await readFile(taker.machineAt(lease, "progress"), "utf8").catch(() => "")) === "restored");
    if (stage === "restored") return;
    proxy.hold("there");
    broker = await programs.startBroker();
    await signed(giver, "handover");
    if (stage === "handed over") return;
    if (stage === "takeover signed") await kill9(broker);
    else proxy.hold("back");
    proxy.release("there");
    await signed(taker, "takeover");
    if (stage === "moved") await holds(async () => taker.log.includes("lease taken over"));
  }

  /** What happens while a move of it is held at that stage. */
  async function moving(stage: Stage, during: (move: Move) => Promise<void>): Promise<void> {
    const [giver, taker] = await settled();
    for (const side of [giver, taker]) await side.owner("drain", "--undo");
    await taker.listed();
    const proxy = await MoveProxy.open(taker.port);
    try {
      const at = `${taker.id}@127.0.0.1:${proxy.port}`;
      const move = { giver, taker, proxy, drain: programs.xeno("owner", ["server", "drain", "--to", at, "--data", giver.folder]) };
      await brought(move, stage);
      await during(move);
    } finally {
      await proxy.close();
    }
  }

  const killedAt = (stage: Stage, victim: Victim): Promise<void> =>
    moving(stage, async ({ giver, taker, proxy, drain }) => {
      if (victim === "broker") await kill9(broker);
      else await (victim === "giver" ? giver : taker).kill();
      if (broker.exitCode !== null || broker.signalCode !== null) broker = await programs.startBroker();
      for (const way of ["there", "back"] as const) proxy.release(way);
      if (victim === "giver") await giver.start();
      if (victim === "taker") await taker.start();
      await drain.done;
      const [here] = await settled();
      expect([giver, taker]).toContain(here);
    });

  const ALL = STAGES.flatMap((stage) => (["giver", "taker", "broker"] as const).map((victim) => [victim, stage] as const));

  it.each(ALL)("the %s, when it is %s", (victim, stage) => killedAt(stage, victim));

  it("is not paused by who says so while it is handed over, and is by who says so again", async () => {
    // where the giver's next claim comes before the customer was heard, or before the takeover, the lease stays: it is moved again
    for (let wasRefused = false, hasMoved = false; !wasRefused || !hasMoved;)
      await moving("handed over", async ({ taker, proxy, drain }) => {
        const early = await programs.xeno("customer", ["lease", "pause", lease]).done;
        wasRefused = early.stderr.includes("the lease is being moved to another server of its owner: ask again in a moment");
        proxy.release("there");
        const { code, stdout } = await drain.done;
        expect(code).toBe(0);
        hasMoved = stdout.includes("moved: ");
        if (hasMoved) {
          await programs.ok("customer", ["lease", "pause", lease]);
          expect(await taker.record(lease)).toMatchObject({ pausedByCustomer: true });
        }
        await programs.ok("customer", ["lease", "resume", lease]);
      });
  });

  it("has counted without a gap, has all that it had, and is billed for what it ran", async () => {
    const [here] = await settled();
    job.child.stdin!.end("end\n");
    const done = await job.done;
    expect(done, done.stderr).toMatchObject({ code: 5 });
    const lines = done.stdout.trim().split("\n");
    const last = lines.pop()!;
    const counted = lines.map((line) => /^tick (\d+) (\d+\.\d\d)$/.exec(line));
    expect(counted.map((each) => Number(each?.[1]))).toEqual(lines.map((_, i) => i));
    const upMs = [...counted.map((each) => each![2]!), last.split(" ")[1]!].map((seconds) => Number(seconds) * 1_000);
    expect(upMs).toEqual([...upMs].sort((a, b) => a - b));
    expect((await readdir(out)).sort()).toEqual(["file", "sum"]);
    await programs.ok("customer", ["verify", lease]);
    await until(async () => (await qemus(programs.folder)).length === 0);
    for (const side of sides) expect(await readdir(path.join(side.folder, "vm/machines"))).toHaveLength(side === here ? 1 : 0);
    for (const side of sides) await told(side.child);
  });
});
