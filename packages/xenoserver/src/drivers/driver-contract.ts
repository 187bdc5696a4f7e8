/** What every guest driver must do: the real one and the simulated one pass the same suite. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { GuestDriver, GuestEnding, GuestJob, RunningGuest } from "./driver.ts";
import type { Work } from "./work.ts";

export interface ContractJobs {
  /** Prints `text`, leaves it in /out, and ends with `exit` after at least `ms`. */
  prints(text: string, exit: number, ms: number): Promise<GuestJob>;
  /** Work of another driver. */
  foreign: Work;
}

async function streamOf(guest: RunningGuest): Promise<string> {
  let text = "";
  for (let bytes = await guest.readStream("stdout", 0); bytes.length > 0; bytes = await guest.readStream("stdout", text.length))
    text += Buffer.from(bytes).toString();
  return text;
}

/** Resolves when it has printed something. */
async function speaks(guest: RunningGuest): Promise<void> {
  const spoken = Promise.withResolvers<void>();
  const look = async (): Promise<void> => {
    if ((await streamOf(guest)) !== "") spoken.resolve();
  };
  guest.onChange(() => void look());
  await look();
  await spoken.promise;
}

type Open = () => Promise<{ driver: GuestDriver; jobs: ContractJobs }>;

async function begin(open: Open, text: string, exit: number, ms: number) {
  const { driver, jobs } = await open();
  const job = await jobs.prints(text, exit, ms);
  const prepared = await driver.prepare(job);
  return { driver, job, guest: await prepared.begin(), token: prepared.token };
}

/** One that takes so long, and was told to stand still as soon as it had begun; `pausedAt`: by then, by its driver's clock; `end`: how it has ended. */
async function paused(open: Open, ms: number) {
  const { driver, guest } = await begin(open, "p", 0, ms);
  let end: GuestEnding | null = null;
  void guest.ended.then((ended) => (end = ended));
  await guest.pause().catch(() => {}); // of one that has ended
  return { guest, pausedAt: driver.monotonicMs(), end: (): GuestEnding | null => end };
}

function runs(open: Open): void {
  const start = (text: string, exit: number, ms: number) => begin(open, text, exit, ms);

  it("runs to the end with output, files, exit code and a time of its clock", async () => {
    const { driver, guest } = await start("hello", 3, 0);
    const end = await guest.ended;
    if (end.kind !== "result") throw new Error(end.detail);
    expect(end).toMatchObject({ reason: "completed", exitCode: 3 });
    expect(end.endedMonotonicMs).toBeLessThanOrEqual(driver.monotonicMs());
    expect(await streamOf(guest)).toBe("hello");
    const [file] = end.tree.filter(({ kind }) => kind === "file");
    if (file?.kind !== "file") throw new Error("no file came back");
    const bytes = await guest.readOutput(file.digest, 0, file.size);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(file.digest);
    expect(await guest.readOutput(file.digest, 2, 2)).toHaveLength(2);
    expect(await guest.readOutput("00".repeat(32), 0, 10)).toHaveLength(0);
    await guest.dispose();
  });

  it("stops with what there is", async () => {
    const { guest } = await start("part", 0, 60_000);
    await speaks(guest);
    await guest.stop(0);
    expect(await guest.ended).toMatchObject({ kind: "result", reason: "stopped", exitCode: null });
    expect(await streamOf(guest)).toBe("part");
    await guest.dispose();
  });

  it("says host failure when it is killed", async () => {
    const { guest } = await start("x", 0, 60_000);
    await guest.kill();
    expect(await guest.ended).toMatchObject({ kind: "host-failure" });
    await guest.dispose();
  });

  it("waits while paused, for as long as another takes from its beginning to its end, and goes on", async () => {
    for (let ms = 300; ; ms *= 4) {
      const { guest, end, pausedAt } = await paused(open, ms);
      const { guest: other } = await start("q", 0, ms);
      expect(await other.ended).toMatchObject({ kind: "result", exitCode: 0 });
      await other.dispose();
      const early = end();
      if (early === null) await guest.resume();
      expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 0 });
      await guest.dispose();
      if (early === null) return;
      // it was not caught in time: one that takes longer is
      if (early.kind !== "result") throw new Error(early.detail);
      expect(early.endedMonotonicMs).toBeLessThanOrEqual(pausedAt);
    }
  });

  it("is found again by its token", async () => {
    const { driver, job, guest, token } = await start("found", 1, 300);
    guest.release();
    const again = await driver.adopt(JSON.parse(JSON.stringify(token)) as typeof token, job);
    if (again === null) throw new Error("it began, and its driver says that it did not");
    expect(await again.ended).toMatchObject({ kind: "result", exitCode: 1 });
    expect(await streamOf(again)).toBe("found");
    await again.dispose();
  });
}

function decides(open: Open): void {
  it("refuses in words what is not its own, and what was not ordered", async () => {
    const { driver, jobs } = await open();
    const { work, po, order } = await jobs.prints("x", 0, 0);
    expect(driver.problemWith(work, { po, order })).toBeNull();
    expect(driver.problemWith(jobs.foreign, { po, order })).toContain("was ordered, not");
    expect(driver.problemWith(work, { po, order: { ...order, jobHash: "ff".repeat(32) } })).toContain("not the one that was ordered");
    const small = { vcpu: 1, memoryMib: 1, diskMib: 0 };
    expect(driver.problemWith(work, { po: { ...po, resources: small }, order })).toContain("memory");
  });

  it("does what it declares", async () => {
    const { driver, guest } = await begin(open, "c", 0, 60_000);
    expect(guest.controls ?? null).toEqual(driver.capabilities.console ? expect.anything() : null);
    const { engine, vmEngine } = driver.offered();
    expect([engine, vmEngine]).toContain(driver.engine);
    expect(driver.assurances).toContain("isolated");
    await guest.kill();
    await guest.dispose();
  });
}

export function driverContract(name: string, open: Open): void {
  describe(`driver contract: ${name}`, () => {
    runs(open);
    decides(open);
  });
}
