/**
 * A customer's program on the SDK on a market where an owner cheats: replicas compared, audits followed up, doubted results judged, receipts
 * held against the job run again.
 */
import { execFile } from "node:child_process";
import { getEventListeners } from "node:events";
import { rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { isLive } from "@xenoservers/market";
import { refuse, type Receipt } from "@xenoservers/protocol";
import { CHEATS, cheatingDriver } from "@xenoservers/xenoserver";
import { Market, RefusedError, type KeptJob, type Kept, type ReplicasInput, type Rerun } from "@xenoservers/sdk";
import { reExecute } from "../../packages/cli/src/proof/re-execute.ts";
import { command } from "../process/command.ts";
import { endless, saying } from "../process/jobs.ts";
import { startMarket, type TestMarket } from "../process/market.ts";
import { cases, thoroughly } from "../thorough.ts";
import { until } from "../until.ts";
import { customerOf, type Customer } from "./customer.ts";

let market: TestMarket;
let customer: Customer;
let hello: Uint8Array;
const owners: Record<string, string> = {};

async function addStaked(name: string, cheat?: keyof typeof CHEATS): Promise<void> {
  const owner = await market.newParty(name, "2000000000");
  const { party } = owner.identity;
  owners[name] = party;
  await owner.act("stake", { party, amountNanos: "1000000000", direction: "deposit", clientId: owner.newId() });
  await market.addServer(name, owner, cheat === undefined ? {} : { wrapDriver: (driver) => cheatingDriver(CHEATS[cheat]!, driver) });
}

beforeAll(async () => {
  market = await startMarket();
  hello = await saying("hello\n");
  customer = await customerOf(market, "doubter");
  vi.stubEnv("XENO_HOME", customer.home);
  for (const name of ["honest", "second"]) await addStaked(name);
  const referee = await market.addServer("referee", await market.newParty("the operator's"));
  await market.operator("referee", { server: referee.server.id, active: true, clientId: "ab".repeat(16) });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await market.close();
});

/** Whoever needs it; the cookbook's programs do not. */
async function addCheat(): Promise<void> {
  if (owners["cheat"] === undefined) await addStaked("cheat", "wrong-output");
}

const on = (owner: string) => ({ where: `owner=${owners[owner]}` });
const pair = (): ReplicasInput => ({ module: hello, budget: "0.50", replicas: 2, where: `owner!=${owners["cheat"]}` });
/** Of one owner, under stake; its audit is nobody's yet. */
async function rented(owner: string): Promise<string> {
  const sdk = await Market.connect();
  const job = await sdk.run({ module: hello, budget: "0.50", assurance: "replicated", ...on(owner) });
  return (await job.result).lease;
}
const again: Rerun = (work, { stoppedAt, step }) => reExecute(work as Kept<KeptJob>, stoppedAt, step);

describe("the cookbook", () => {
  const programs: [string, RegExp][] = [
    ["replicas", /^2 leases\nstands\nstands\nagreed 42\n$/],
    ["doubt", /^42\n(?:drawn, and right\n)*(?:puts down \d+ nanos\nthe referee came to the same|not judged: (?:too_late|wrong_state))\n$/],
  ];
  it.each(programs.slice(0, cases(1, programs.length)))("%s", async (name, expected) => {
    const env = { ...process.env, XENO_HOME: customer.home, NODE_COMPILE_CACHE: path.join(market.folder, "compiled") };
    const { stdout } = await promisify(execFile)(process.execPath, [`examples/sdk/${name}.ts`], { env });
    expect(stdout).toMatch(expected);
  });
});

describe("replicas", () => {
  beforeAll(addCheat);

  it("agree by what their own servers signed: what a broker shows for one of them is not taken from another", async () => {
    const sdk = await Market.connect();
    const job = await sdk.run({ ...pair(), noAudit: true });
    const [first = "", second = ""] = job.leases;
    const { client } = sdk;
    const read = client.read.bind(client);
    client.read = (async (...asked: Parameters<typeof read>) => {
      const answer = (await read(...asked)) as Receipt;
      if (asked[0] !== "receipt" || answer.lease !== second) return answer;
      const { documents } = (await read("receipt", { params: { id: first } })) as Receipt;
      const other = documents.filter(({ kind }) => kind === "result");
      return { ...answer, documents: [...answer.documents.filter(({ kind }) => kind !== "result"), ...other] };
    }) as typeof read;
    await expect(job.result).rejects.toMatchObject({ code: "not_compared", leases: [first, second] });
  });

  it("that agree give one result, which holds, and say what each costs", async () => {
    const sdk = await Market.connect();
    const { signal } = new AbortController();
    const job = await sdk.run({ ...pair(), noAudit: true, signal });
    const result = await job.result;
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(result).toMatchObject({ ok: true, stdout: "hello\n", difference: null, undone: null });
    expect(result.verification.ok).toBe(true);
    expect(result.replicas.map(({ lease, stands, verdict }) => [lease, stands, verdict])).toEqual(
      job.leases.map((lease) => [lease, true, null]),
    );
    expect(result.replicas.find(({ lease }) => lease === result.lease)?.dueNanos).toBe(result.bill.dueNanos);
  });

  thoroughly("that differ are judged: the result is that of one that the referee bears out", async () => {
    const sdk = await Market.connect();
    const { ok, stdout, difference, replicas } = await (await sdk.run({ module: hello, budget: "0.60", replicas: 3 })).result;
    expect([ok, stdout, difference === null]).toEqual([true, "hello\n", false]);
    const wrong = replicas.filter(({ verdict }) => verdict !== null);
    expect(wrong.map(({ stands }) => stands)).toEqual([false]);
    expect((await sdk.lease(wrong[0]!.lease)).owner).toBe(owners["cheat"]);
  });

  thoroughly("are all given up by their signal: nothing is held for any", async () => {
    const sdk = await Market.connect();
    const off = new AbortController();
    const states: string[] = [];
    const { promise: both, resolve } = Promise.withResolvers<void>();
    const onState = (state: string): void => {
      states.push(state);
      if ([1, 2].every((slot) => states.includes(`replica ${slot}: running`))) resolve();
    };
    const job = await sdk.run({ ...pair(), module: await endless(), signal: off.signal, onState });
    await both;
    off.abort(new Error("enough"));
    await expect(job.result).rejects.toMatchObject({ code: "given_up", left: "withdrawn", money: "withdrawn" });
    expect(job.leases).toHaveLength(2);
    for (const lease of job.leases) await until(async () => !isLive((await sdk.lease(lease)).state));
  });

  it("are refused before anything is signed where they make no sense", async () => {
    const sdk = await Market.connect();
    for (const wrong of [{ replicas: 1 }, { replicas: 8 }, { replicas: 2, wait: "10m" }])
      await expect(sdk.run({ ...pair(), ...wrong })).rejects.toMatchObject({ code: "bad_input" });
    const alone = { module: hello, noAudit: true };
    await expect(sdk.run(alone)).rejects.toMatchObject({ code: "bad_input", message: expect.stringContaining("noAudit") as string });
    expect(await sdk.map([1], () => pair()).all).toMatchObject([{ ok: false, error: { code: "bad_input" } }]);
  });
});

describe("replicas that differ", () => {
  beforeAll(addCheat);
  const differing = (): ReplicasInput => ({ module: hello, budget: "0.60", replicas: 2, where: `owner!=${owners["second"]}` });

  it("are not both borne out: a broker that says so without any proof is not believed", async () => {
    const sdk = await Market.connect();
    const act = sdk.client.act.bind(sdk.client);
    sdk.client.act = (async (...asked: Parameters<typeof act>) => {
      const answer = await act(...asked);
      if (asked[0] === "dispute") throw new RefusedError(refuse("result_agrees"));
      return answer;
    }) as typeof act;
    const job = await sdk.run(differing());
    await expect(job.result).rejects.toMatchObject({
      code: "broken_word",
      message: expect.stringContaining("says that the results agree") as string,
    });
  });

  it("and are called off right before anything is put down have run, and cost what they cost", async () => {
    const sdk = await Market.connect();
    const off = new AbortController();
    const job = await sdk.run({ ...differing(), signal: off.signal });
    const described = sdk.client.market.bind(sdk.client);
    let looks = 0;
    // for the terms that are told, and again for what is put down
    sdk.client.market = (fresh) => {
      if (fresh === true && ++looks === 2) off.abort(new Error("enough"));
      return described(fresh);
    };
    await expect(job.result).rejects.toMatchObject({ code: "given_up", left: "over", money: "by-terms" });
    for (const lease of job.leases) expect((await sdk.lease(lease)).state).toBe("settled");
  });

  it("are judged no further once they are let go of", async () => {
    const sdk = await Market.connect();
    const filed: string[] = [];
    sdk.client.onFiled = ({ document: { kind } }) => {
      filed.push(kind);
      if (kind === "trace-request") sdk.close();
    };
    const job = await sdk.run(differing());
    await expect(job.result).rejects.toMatchObject({ code: "left_open", leases: job.leases });
    expect(filed.filter((kind) => kind === "order" || kind === "trace-request")).toEqual(["order", "trace-request"]);
    const [first = ""] = job.leases;
    expect((await (await Market.connect()).dispute(first)).run).not.toBeNull();
  });
});

describe("a receipt", () => {
  beforeAll(addCheat);

  it("is held against the job run again: proved where the owner is honest, failed where it is not", async () => {
    const sdk = await Market.connect();
    const [right, wrong] = [await rented("second"), await rented("cheat")];
    const lineOf = async (lease: string) => {
      const { ok, lines } = await sdk.verify(lease, { rerun: again });
      return [ok, lines.find(({ check }) => check === "result")?.status];
    };
    expect(await lineOf(right)).toEqual([true, "proved"]);
    expect(await lineOf(wrong)).toEqual([false, "failed"]);
    expect((await sdk.verify(wrong)).ok).toBe(true);
  });

  thoroughly("of another's job that is not kept here is no match, and nothing else is run in its place", async () => {
    const sdk = await Market.connect();
    const lease = await rented("second");
    await rm(path.join(customer.home, "data/jobs"), { recursive: true });
    const never: Rerun = () => Promise.reject(new Error("nothing is to run"));
    await expect(sdk.verify(lease, { rerun: never })).rejects.toMatchObject({ code: "kept_differs" });
  });
});

describe("a dispute", () => {
  beforeAll(addCheat);

  thoroughly("convicts who cheated, after its terms were told, and bears out who did not", async () => {
    const sdk = await Market.connect();
    const told: number[] = [];
    const wrong = await sdk.dispute(await rented("cheat"), { budget: "0.50", onTerms: ({ leases }) => void told.push(leases.length) });
    expect(wrong.verdict?.lease).toBe(wrong.lease);
    expect([wrong.run?.refereeLease, told]).toEqual([wrong.refereeLease, [1]]);
    const right = await sdk.dispute((await rented("second")).slice(0, 16));
    expect([right.verdict, right.run === null]).toEqual([null, false]);
  });

  thoroughly("puts nothing down where its terms are declined, or its signal came before", async () => {
    const sdk = await Market.connect();
    const lease = await rented("second");
    const no = (): never => {
      throw new Error("too dear");
    };
    await expect(sdk.dispute(lease, { onTerms: no })).rejects.toThrow("too dear");
    await expect(sdk.dispute(lease, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    const off = new AbortController();
    await expect(sdk.dispute(lease, { signal: off.signal, onTerms: () => off.abort() })).rejects.toMatchObject({ code: "aborted" });
    expect((await sdk.lease(lease)).state).toBe("settled");
  });

  it("is no verdict that could be appealed against before it was judged", async () => {
    const sdk = await Market.connect();
    const lease = await rented("second");
    const work = () => Promise.reject(new Error("nothing is asked of a xenoserver"));
    await expect(sdk.appeal(lease, { work })).rejects.toMatchObject({ code: "wrong_state", facts: { state: "settled" } });
  });

  it("that was called off after the deposit says so, and the next call goes on from there", async () => {
    const sdk = await Market.connect();
    const lease = await rented("cheat");
    const off = new AbortController();
    const { onFiled } = sdk.client;
    sdk.client.onFiled = (filed) => {
      onFiled(filed);
      if (filed.document.kind === "trace-request") off.abort(new Error("enough"));
    };
    const called = sdk.dispute(lease, { signal: off.signal });
    await expect(called).rejects.toMatchObject({ code: "left_open", money: "by-terms", leases: [lease] });
    expect((await sdk.lease(lease)).state).toBe("disputed");
    const { code, stdout, stderr } = await command(customer.home, "dispute", lease, "--yes");
    expect([code, /^proved: .*\n.* came back; .* of the owner's stake is locked for you/.test(stdout)], stderr).toEqual([0, true]);
    expect(stderr).toMatch(/referee .*\ndeposit .*\noutcome [^]*was drawn in round \d+ and ran it\ncheck it: /);
  });
});

describe("a drawn audit", () => {
  it("that was called off after the deposit is no more in the list, and the next call goes on from there", async () => {
    await addStaked("latecomer");
    const sdk = await Market.connect();
    const lease = await rented("latecomer");
    const off = new AbortController();
    const { onFiled } = sdk.client;
    sdk.client.onFiled = (filed) => {
      onFiled(filed);
      if (filed.document.kind === "trace-request") off.abort(new Error("enough"));
    };
    await expect(sdk.audit(lease, { signal: off.signal })).rejects.toMatchObject({ code: "left_open", leases: [lease] });
    expect((await sdk.audits()).map(({ id }) => id)).not.toContain(lease);
    sdk.here.keepReceipt = () => Promise.reject(new Error("the disk is full"));
    expect(await sdk.audit(lease)).toMatchObject({ lease, audit: { drawn: true, undone: null, wrong: null } });
  });

  thoroughly("is due until it is followed up; one whose job is not kept here stops no other", async () => {
    await addStaked("newcomer");
    const sdk = await Market.connect();
    const gone = await rented("newcomer");
    await rm(path.join(customer.home, "data/jobs"), { recursive: true });
    expect((await sdk.lease(gone)).end?.audited).toBe(true);
    expect((await sdk.audits()).map(({ id }) => id)).toContain(gone);
    const undone = "this machine did not keep the job";
    expect(await sdk.audit(gone)).toMatchObject({
      lease: gone,
      audit: { drawn: true, wrong: null, undone: expect.stringContaining(undone) as string },
    });
    const { code, stdout } = await command(customer.home, "audit", gone);
    expect([code, stdout]).toEqual([125, expect.stringContaining(`, and not done: ${undone}`)]);
    const job = await sdk.run({ module: hello, budget: "0.50", assurance: "replicated", ...on("newcomer") });
    const { lease } = await job.result;
    expect(await sdk.audit(lease)).toEqual({
      lease,
      audit: { ratePpm: expect.any(Number) as number, drawn: true, undone: null, wrong: null },
    });
    expect((await sdk.audits()).map(({ id }) => id)).not.toContain(lease);
    await expect(sdk.audit(lease)).rejects.toMatchObject({ code: "bad_input" });
  });
});
