/** What goes on at once: a lease that ends while its guest is made, a broker that is not heard, documents that overtake each other. */
import { beforeEach, describe, expect, it } from "vitest";
import { Random, SimClock } from "@xenoservers/testkit";
import { isOfKind, serverIdOf, type Kind, type Payload } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { judge } from "@xenoservers/verify";
import type { GuestControls, GuestDriver, RunningGuest } from "../drivers/driver.ts";
import { FakeCustomer, fakeJob, type FakeJob, type Manner } from "../testing/fake-customer.ts";
import { FakeMarket, TIMINGS } from "../testing/fake-market.ts";
import { TestServer } from "../testing/test-server.ts";

let clock: SimClock;
let market: FakeMarket;
let test: TestServer;
/** Where the driver stands still until it is told to go on. */
let slow: "making" | "prepare" | "before" | "begin" | null;
let goOn: PromiseWithResolvers<void>;
let arrived: boolean;
let did: string[];
/** How often its driver fails to find a guest again. */
let lost: number;
/** As its driver says that the guest stands still, or can go on. */
let stall: (why: string | null) => void;
/** As QEMU does by itself. */
let hostStops: () => Promise<void>;
/** Of the driver that the daemon has; null: its own. */
let engine: string | null;
/** Whether its guest goes on when it is told to; a toolstack that does not answer has it wait. */
let resumes: boolean;

function slowly(driver: GuestDriver): GuestDriver {
  const wait = async (at: typeof slow): Promise<void> => {
    if (at !== slow) return;
    arrived = true;
    await goOn.promise;
  };
  const watched = (guest: RunningGuest): RunningGuest => {
    const told = (what: "stop" | "kill" | "dispose" | "pause" | "resume") => (withinMs?: number) => {
      did.push(what);
      return what === "resume" && !resumes ? goOn.promise : guest[what](withinMs ?? 0);
    };
    const release = (): void => {
      did.push("release");
      guest.release();
    };
    const calls = { stop: told("stop"), kill: told("kill"), dispose: told("dispose"), pause: told("pause"), resume: told("resume") };
    const onStall = (told: typeof stall): void => void (stall = told);
    hostStops = () => guest.pause();
    return { ...guest, ...calls, release, onStall };
  };
  return {
    ...driver,
    get engine() {
      return engine ?? driver.engine;
    },
    capabilities: { ...driver.capabilities, console: true },
    async adopt(token, job) {
      if (lost-- > 0) throw new Error("the toolstack does not answer");
      const guest = await driver.adopt(token, job);
      const reboot = async (): Promise<void> => void did.push("reboot");
      return guest && { ...guest, controls: { reboot } as Partial<GuestControls> as GuestControls };
    },
    async prepare(job) {
      // as a builder of a layer that hangs
      if (slow === "making")
        return new Promise((_, reject) => {
          arrived = true;
          job.signal?.addEventListener("abort", () => {
            did.push("called off");
            reject(new Error("called off"));
          });
        });
      const prepared = await driver.prepare(job);
      await wait("prepare");
      return {
        ...prepared,
        async discard() {
          did.push("discard");
          await prepared.discard();
        },
        async begin() {
          await wait("before");
          const guest = watched(await prepared.begin());
          did.push("begin");
          await wait("begin");
          return guest;
        },
      };
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  await clock.runUntil(clock.now() + 3_600_000, condition);
  expect(condition(), `${condition}\n${test.log.map((line) => JSON.stringify(line)).join("\n")}`).toBe(true);
}
const passing = (ms: number): Promise<void> => clock.runUntil(clock.now() + ms);
const handedIn = <K extends Kind>(kind: K): Payload<K>[] => market.received.flatMap((each) => (isOfKind(each, kind) ? [each.payload] : []));

beforeEach(async () => {
  clock = new SimClock(1_800_000_000_000, new Random(1));
  market = new FakeMarket(clock);
  [slow, goOn, arrived, did, lost, engine, resumes] = [null, Promise.withResolvers(), false, [], 0, null, true];
  test = new TestServer(market, {}, slowly);
  await test.server.start();
  await until(() => handedIn("offer").length === 1);
});

async function begin(job: FakeJob, said: object = {}, manner: Manner = "silent"): Promise<string> {
  const lease = market.place({ jobHash: job.jobHash, terms: "by-interval", ...said });
  await until(() => test.stage(lease) !== undefined);
  void new FakeCustomer(market, lease, job, manner).attach();
  return lease;
}
const customerStops = (lease: string): void => {
  market.file(market.sign(market.customer.signer, "stop", { lease, party: market.customer.party, reason: "" }));
};

describe("a lease that ends while its guest is made", () => {
  it.each(["prepare", "begin"] as const)("stopped during its %s, it is billed as stopped, and its guest does not go on", async (at) => {
    slow = at;
    const lease = await begin(fakeJob(["run", 600_000, 0, "x"]));
    await until(() => arrived);
    customerStops(lease);
    if (at === "prepare") await until(() => market.lease(lease).state === "settled");
    else await passing(1_000);
    goOn.resolve();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "customer-stop" });
    expect(did).toEqual(at === "prepare" ? ["discard"] : ["begin", "stop"]);
  });

  it.each(["prepare", "begin"] as const)("closed during its %s, it leaves nothing running", async (at) => {
    slow = at;
    const lease = await begin(fakeJob(["run", 600_000, 0, "x"]));
    await until(() => arrived);
    // the broker heard no claim of it
    market.instead = ({ kind }) => (kind === "claim" ? { ok: false, code: "wrong_state", facts: {} } : null);
    await until(() => test.stage(lease) === "over");
    goOn.resolve();
    await passing(1_000);
    expect(did).toEqual(at === "prepare" ? ["discard"] : ["begin", "kill", "dispose"]);
    expect(handedIn("result")).toEqual([]);
  });

  it.each(["prepare", "begin"] as const)("let go during its %s, its guest is discarded, or runs on for the next daemon", async (at) => {
    slow = at;
    const lease = await begin(fakeJob(["run", 10_000, 0, "x"]));
    await until(() => arrived);
    const closed = test.server.close();
    goOn.resolve();
    await passing(10);
    await closed;
    expect(did).toEqual(at === "prepare" ? ["discard"] : ["begin", "release"]);
    slow = null;
    await test.restart();
    void new FakeCustomer(market, lease, fakeJob(["run", 10_000, 0, "x"])).attach();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end?.reason).toBe("completed");
  });
});

it("claims at first, after a restart, what was claimed before, and soon after that what its guest used since", async () => {
  const lease = await begin(fakeJob(["run", 600_000, 0, "x"]));
  await until(() => handedIn("claim").length === 2);
  const before = handedIn("claim").at(-1)!.usedMs;
  await test.server.close();
  await passing(3_000);
  await test.restart();
  await until(() => handedIn("claim").length === 4);
  const [first, next] = handedIn("claim").slice(2);
  expect(first!.usedMs).toBe(before);
  expect(next!.usedMs).toBeGreaterThan(before + 3_000);
  expect(next!.usedMs).toBeLessThan(before + market.lease(lease).timings.claimIntervalMs);
});

it("claims on where a claim could not be kept, once there is room on its disk again", async () => {
  await begin(fakeJob(["run", 600_000, 0, "x"]));
  await until(() => handedIn("claim").length === 2);
  const { save } = test.journal;
  test.journal.save = () => Promise.reject(new Error("ENOSPC: no space left on device"));
  await until(() => test.said("a claim failed").length === 1);
  test.journal.save = save;
  await until(() => handedIn("claim").length === 4);
});

describe("what is under way to make a guest", () => {
  const making = async (): Promise<string> => {
    [slow, arrived] = ["making", false];
    const lease = await begin(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => arrived);
    return lease;
  };

  it("ends with its lease: stopped, closed, or let go", async () => {
    const stopped = await making();
    customerStops(stopped);
    await until(() => test.stage(stopped) === "over");
    expect([market.lease(stopped).end?.reason, did]).toEqual(["customer-stop", ["called off"]]);
    const closed = await making();
    market.instead = ({ kind }) => (kind === "claim" ? { ok: false, code: "wrong_state", facts: {} } : null);
    await until(() => test.stage(closed) === "over");
    expect(did).toEqual(["called off", "called off"]);
    market.instead = () => null;
    await making();
    await test.server.close();
    expect(did).toEqual(["called off", "called off", "called off"]);
    expect(handedIn("result")).toHaveLength(1);
  });

  it("ends while the broker is not heard, and begins anew once it is", async () => {
    const lease = await making();
    market.instead = ({ kind }) => (kind === "claim" ? { ok: false, code: "unavailable", facts: {} } : null);
    await until(() => did.includes("called off"));
    await passing(60_000);
    expect([did, test.stage(lease)]).toEqual([["called off"], "preparing"]);
    slow = null;
    market.instead = () => null;
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
  });
});

describe("a broker that is not heard", () => {
  it("has the guest wait, and is not billed for the wait", async () => {
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]), { durationMsMax: 120_000 });
    await until(() => test.stage(lease) === "running");
    await until(() => market.lease(lease).lastClaim !== null);
    market.instead = ({ kind }) => (kind === "claim" ? { ok: false, code: "unavailable", facts: {} } : null);
    await until(() => did.includes("pause"));
    const pausedAt = clock.now();
    const unheard = pausedAt - (market.lease(lease).heardAt ?? 0);
    expect(unheard).toBeGreaterThanOrEqual(TIMINGS.graceMs);
    expect(unheard).toBeLessThanOrEqual(TIMINGS.claimIntervalMs + TIMINGS.graceMs + 100);
    await passing(100_000);
    market.instead = () => null;
    await until(() => did.includes("resume"));
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
    expect(market.lease(lease).end?.billableMs).toBeLessThan(60_200);
  });

  /** Its guest stands still, and does not go on at once when it is told to. */
  async function standsStill(): Promise<string> {
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]), { durationMsMax: 600_000 });
    await until(() => market.lease(lease).lastClaim !== null);
    resumes = false;
    market.instead = ({ kind }) => (kind === "claim" ? { ok: false, code: "unavailable", facts: {} } : null);
    await until(() => did.includes("pause"));
    return lease;
  }

  it("gets claims of a guest that does not go on yet, which the next daemon sees to", async () => {
    const lease = await standsStill();
    market.instead = () => null;
    await until(() => did.includes("resume"));
    const claims = handedIn("claim").length;
    await until(() => handedIn("claim").length >= claims + 3);
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
  });

  it.each([
    ["does not go on", () => {}],
    ["cannot go on", () => goOn.reject(new Error("the toolstack does not answer"))],
  ])("is in nobody's way who stops a guest that %s", async (_how, then) => {
    const lease = await standsStill();
    customerStops(lease);
    await until(() => did.includes("resume"));
    then();
    market.instead = () => null;
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "customer-stop" });
  });

  it("gets the claim that was signed before it gets the result", async () => {
    const lease = await begin(fakeJob(["run", 12_000, 0, "x"]));
    await until(() => test.stage(lease) === "running");
    let away = true;
    market.instead = ({ kind }) => (away && kind === "claim" ? { ok: false, code: "unavailable", facts: {} } : null);
    await until(() => test.stage(lease) === "ending");
    await passing(2_000);
    expect(handedIn("result")).toEqual([]);
    away = false;
    await until(() => test.stage(lease) === "over");
    expect(handedIn("result")[0]?.lastClaim).toBe(market.lease(lease).lastClaim?.id);
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
  });
});

describe("a guest that an earlier daemon began, and that is not found at once", () => {
  it("is asked for again: a toolstack may start later than the daemon", async () => {
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]), { durationMsMax: 120_000 });
    await until(() => test.stage(lease) === "running");
    lost = 3;
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
    expect(test.said("the guest was not found again")).toHaveLength(3);
  });

  it.each([
    ["is found", 3, true, ["reboot"]],
    ["never is", Number.POSITIVE_INFINITY, false, []],
  ])("has its customer's words wait until it %s", async (_, times, ok, done) => {
    const lease = await begin(fakeJob(["run", 600_000, 0, "x"]));
    await until(() => test.stage(lease) === "running");
    lost = times;
    await test.restart();
    const customer = new FakeCustomer(market, lease, null);
    void customer.attach();
    await until(() => customer.channel !== null);
    void customer.channel?.send({ t: "ask", id: 1, what: "reboot" }, Buffer.from("null"));
    await until(() => customer.of("answer").length > 0);
    expect(customer.of("answer")).toEqual([{ t: "answer", id: 1, ok }]);
    expect(did.filter((what) => what === "reboot")).toEqual(done);
  });

  it("is made anew where that daemon was killed before it had begun it", async () => {
    slow = "before";
    const lease = await begin(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => arrived);
    slow = null;
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
    expect(test.said("the guest had not begun before the restart: it is made anew")).toHaveLength(1);
  });

  it("is made anew as often as that is cut off", async () => {
    slow = "before";
    const lease = await begin(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => arrived);
    for (const at of ["making", "prepare", "before"] as const) {
      [slow, arrived] = [at, false];
      await test.restart();
      await until(() => arrived);
    }
    slow = null;
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
  });

  it("comes to nothing where its customer had stopped it before", async () => {
    slow = "before";
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]));
    await until(() => arrived);
    customerStops(lease);
    await passing(1_000);
    slow = null;
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "customer-stop" });
  });

  it("says by which engine it ran, whichever the daemon has that found it", async () => {
    const job = fakeJob(["run", 60_000, 0, "x"]);
    const lease = await begin(job, { durationMsMax: 120_000, assurance: "replicated", terms: "on-result" });
    await until(() => test.stage(lease) === "running");
    engine = "sim-2";
    await test.restart();
    await until(() => handedIn("result").length === 1);
    expect(handedIn("result")).toMatchObject([{ reason: "completed", engine: "sim-1" }]);
    expect(market.lease(lease).result).toMatchObject({ engine: "sim-1" });
  });

  it("is made by no other engine than was bound, where it had not begun", async () => {
    slow = "before";
    const lease = await begin(fakeJob(["run", 1_000, 0, "x"]), { assurance: "replicated", terms: "on-result" });
    await until(() => arrived);
    slow = null;
    engine = "sim-2";
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "server-failed" });
  });

  it("costs its customer nothing where it is never found, and its room is given back", async () => {
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]), { durationMsMax: 120_000 });
    await until(() => test.stage(lease) === "running");
    lost = Number.POSITIVE_INFINITY;
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "server-failed", billableMs: 0 });
    expect(handedIn("result")).toMatchObject([{ detail: "the server could not find its guest again after a restart" }]);
    expect(test.server.state.capacity.used).toEqual({ vcpu: 0, memoryMib: 0, diskMib: 0 });
  });

  it("does not keep a signed result from the broker", async () => {
    market.instead = ({ kind }) => (kind === "result" ? { ok: false, code: "unavailable", facts: {} } : null);
    const lease = await begin(fakeJob(["run", 1_000, 0, ""]));
    await until(() => test.stage(lease) === "ended");
    lost = Number.POSITIVE_INFINITY;
    await test.restart();
    await passing(1_000); // what the earlier one has under way comes to nothing
    market.instead = () => null;
    const since = clock.now();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
    // of what was stopped it would come too late
    expect(clock.now() - since).toBeLessThan(TIMINGS.graceMs / 2);
  });

  it("gives its result's bytes where it is found later", async () => {
    market.instead = ({ kind }) => (kind === "result" ? { ok: false, code: "unavailable", facts: {} } : null);
    const lease = await begin(fakeJob(["run", 1_000, 0, "x"]), { terms: "on-result" });
    await until(() => test.stage(lease) === "ended");
    lost = 3;
    await test.restart();
    await passing(1_000); // what the earlier one has under way comes to nothing
    market.instead = () => null;
    await until(() => test.stage(lease) === "over");
    expect([market.sealed.get(lease)?.length, test.said("the result could not be sealed")]).toEqual([1, []]);
  });
});

describe("a guest that stands still", () => {
  const away = (): void => {
    market.instead = ({ kind }) => (kind === "claim" ? { ok: false, code: "unavailable", facts: {} } : null);
  };

  it("goes on after a silence that this daemon did not see the beginning of, and pays for none of it", async () => {
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]), { durationMsMax: 120_000 });
    await until(() => test.stage(lease) === "running");
    await until(() => market.lease(lease).lastClaim !== null);
    away();
    await until(() => did.includes("pause"));
    await passing(50_000);
    await test.restart();
    await passing(50_000);
    market.instead = () => null;
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
    expect(market.lease(lease).end?.billableMs).toBeLessThan(60_200);
  });

  it("for want of room on this server's disk costs nothing, and its customer is told", async () => {
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]), { durationMsMax: 120_000 });
    const customer = new FakeCustomer(market, lease, null);
    void customer.attach();
    await until(() => test.stage(lease) === "running");
    await passing(1_000);
    await hostStops();
    stall("the disk is full");
    await passing(100_000);
    expect(customer.heard).toContainEqual({ t: "problem", code: "stands-still", why: "the disk is full" });
    const late = new FakeCustomer(market, lease, null);
    void late.attach();
    await until(() => late.heard.some(({ t }) => t === "problem"));
    stall(null);
    await until(() => did.includes("resume"));
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
    expect(market.lease(lease).end?.billableMs).toBeLessThan(60_200);
    expect(test.log.map(({ what }) => what)).toContain("guest stands still: the disk is full");
  });

  it("for two reasons goes on when both are gone, and is not billed in between", async () => {
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]), { durationMsMax: 120_000 });
    await until(() => test.stage(lease) === "running");
    await until(() => market.lease(lease).lastClaim !== null);
    await hostStops();
    stall("the disk is full");
    away();
    await until(() => did.includes("pause"));
    stall(null);
    await passing(50_000);
    expect(did).not.toContain("resume");
    market.instead = () => null;
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end?.billableMs).toBeLessThan(60_200);
  });

  it("and is stopped meanwhile pays for what it ran alone", async () => {
    const lease = await begin(fakeJob(["run", 60_000, 0, "x"]), { durationMsMax: 120_000 });
    await until(() => test.stage(lease) === "running");
    await passing(5_000);
    await hostStops();
    stall("the disk is full");
    await passing(40_000);
    customerStops(lease);
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "customer-stop" });
    expect(market.lease(lease).end?.billableMs).toBeLessThan(6_000);
  });
});

describe("documents that overtake each other", () => {
  it("stops by a stop that is told before the opening that it follows", async () => {
    market.instead = (document) => {
      if (!isOfKind(document, "acceptance")) return null;
      market.instead = () => null;
      const { lease } = document.payload;
      const answer = market.submit(document.envelope);
      // told at once, a moment after the opening was logged; the answer comes later
      clock.after(1, () => customerStops(lease));
      clock.after(500, () => market.answerLate(document.id, answer));
      return market.LATER;
    };
    const lease = await begin(fakeJob(["run", 10_000, 0, "x"]));
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "customer-stop", blame: "customer" });
    expect(test.said("a document does not follow")).toEqual([]);
  });

  it("is ended by its owner's own command, also before it runs", async () => {
    const lease = market.place({ jobHash: "11".repeat(32), terms: "by-interval" });
    await until(() => test.stage(lease) === "waiting");
    const stopped = test.server.stopNow();
    await until(() => test.stage(lease) === "over");
    await passing(200);
    await stopped;
    expect(market.lease(lease).end).toMatchObject({ reason: "owner-stop", ownerNanos: "0" });
    expect(handedIn("offer-withdrawal")).toHaveLength(1);
  });

  it("has an answer for a doubt about its result: the roots, or that there are none", async () => {
    const lease = await begin(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => market.lease(lease).state === "settled");
    market.file(market.sign(market.customer.signer, "trace-request", { lease, party: market.customer.party, step: "1000000000" }));
    await until(() => handedIn("trace").length === 1);
    expect(handedIn("trace")[0]).toMatchObject({ roots: [], detail: expect.stringContaining("no breakpoints") });
    await passing(100);
    await test.restart();
    await passing(5_000);
    expect(handedIn("trace")).toHaveLength(1);
  });

  it("says of a doubt that another engine ran it, where its daemon was updated since", async () => {
    const lease = await begin(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => market.lease(lease).state === "settled");
    engine = "sim-2";
    await test.restart();
    market.file(market.sign(market.customer.signer, "trace-request", { lease, party: market.customer.party, step: "1000000000" }));
    await until(() => market.lease(lease).trace?.document != null);
    expect(handedIn("trace")).toMatchObject([{ engine: "sim-1", roots: [], detail: "it ran on sim-1, and this server has sim-2 by now" }]);
  });

  it("finds for itself what the results in a verdict come to, and keeps one that does not follow", async () => {
    const lease = await begin(fakeJob(["run", 1_000, 0, "x"]), { terms: "on-result", assurance: "replicated" }, "signs");
    await until(() => market.lease(lease).state === "settled");
    const own = market.received.find((each) => isOfKind(each, "result"));
    if (!own || !isOfKind(own, "result")) throw new Error("no result");
    const referee = market.newParty(95);
    const key = createSigner(new Uint8Array(32).fill(96));
    referee.grants.push(market.grant(referee, key.publicKey, "server"));
    const judgedBy = serverIdOf(nodeCrypto, key.publicKey);
    market.file(market.sign(market.customer.signer, "trace-request", { lease, party: market.customer.party, step: null }));
    const turn = { lease, round: 1, referee: judgedBy, candidates: [judgedBy], passed: [], at: clock.now() };
    market.file(market.sign(market.keys.receipts, "draw", turn));
    const verdictOver = (said: object) => {
      const server = judgedBy;
      const ruling = market.sign(key, "result", { ...own.payload, lease: "77".repeat(32), server, ...said });
      const judged = judge(nodeCrypto, own.payload, ruling.payload, market.lease(lease), null);
      const { end, stakeNanos, server: accused, owner } = market.lease(lease);
      const refundNanos = String(BigInt(end?.ownerNanos ?? 0) + BigInt(end?.feeNanos ?? 0));
      const why = judged.ok ? (judged.difference ?? "") : "";
      const about = { lease, server: accused, owner, referee: server, result: own.envelope, ruling: ruling.envelope, trace: null };
      const document = market.sign(market.keys.receipts, "verdict", {
        ...{ ...about, segment: null, why, refundNanos, slashedNanos: stakeNanos, at: clock.now() },
        ...{ round: 1, slashedTo: market.customer.party },
      });
      market.push([{ envelope: document.envelope, at: clock.now() }], [...market.grants, ...referee.grants]);
    };
    verdictOver({});
    await passing(10_000);
    expect((await test.record(lease))?.held.map(({ kind }) => kind)).toEqual(["verdict"]);
    verdictOver({ exitCode: 7 });
    await passing(10_000);
    const record = await test.record(lease);
    expect(record?.facts).toHaveLength((market.log.get(lease)?.length ?? 0) + 1);
    await test.restart();
    expect(test.stage(lease)).toBe("over");
  });
});
