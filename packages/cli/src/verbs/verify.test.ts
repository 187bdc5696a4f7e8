/** What a customer signed, against receipts from which its broker, with all its keys, leaves it out: by the verbs themselves. */
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { cosign, refuse, toHex, utf8, type Receipt } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { buildJob, bytesBlob, fingerprintOf, home, keepJob, saveContext } from "@xenoservers/sdk";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PaperBroker } from "../../../../test/support/paper-broker.ts";
import { BROKER, Cast } from "../../../verify/src/testing/cast.ts";
import { LeaseScript, leaseIn } from "../../../verify/src/testing/lease-script.ts";
import { retold, type Changes } from "../../../verify/src/testing/moves.ts";
import { Rng } from "../../../verify/src/testing/rng.ts";
import { receiptOf } from "../../../verify/src/testing/script.ts";
import { storyOf, type Story } from "../../../verify/src/testing/stories.ts";
import { Typed } from "../typed.fixture.ts";

const told = (name: string): Story => storyOf({ crypto, createSigner }, name, 7);
/** What `xeno lease stop` signs in place of the story's own. */
const BY_HAND: Changes = { held: [...BROKER, "device"], edits: { stop: { reason: "stopped by hand" } } };

let folder: string;
let market: PaperMarket;
let broker: PaperBroker;
const typed = new Typed();

const xeno = (...argv: string[]): Promise<number> => typed.xeno(...argv);

async function logInAs(party: string, key: string): Promise<void> {
  const { pins, account } = told("completed by interval").cast;
  await saveContext("m", {
    ...{ url: broker.url, pins, currency: "credits", party, account, role: "device" },
    ...{ scopes: [...ROLE_SCOPES.device], label: "", leaseLabel: null, seed: toHex(crypto.sha256(utf8("device 7"))) },
    witnesses: [{ name: "one", key }],
  });
}

/** The broker of the stories, and their customer's device as the context. */
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-verify-"));
  vi.stubEnv("XENO_HOME", folder);
  const { cast } = told("completed by interval");
  const { orders, receipts, checkpoints, operator, witness } = cast.signers;
  market = Object.assign(new PaperMarket(new Random(4), Date.now(), cast.pins.origin), { orders, receipts, checkpoints, operator });
  broker = await PaperBroker.start(market);
  await logInAs(cast.customer, witness.publicKey);
  typed.listen();
});
afterEach(async () => {
  typed.leave();
  vi.unstubAllEnvs();
  broker.close();
  await rm(folder, { recursive: true, force: true });
});

/** Types `xeno lease stop` for the story's lease, which the broker then shows as settled. */
async function stop({ lease, play }: Story): Promise<number> {
  const { document: po } = play.of("purchase-order");
  const [live, over] = [market.view(po), market.view(po, { state: "settled", end: market.end(po) })];
  let reads = 0;
  broker.reads[`/api/v1/leases/${lease}`] = () => (reads++ === 0 ? live : over);
  return xeno("lease", "stop", lease);
}

const witnessed = (story: Story, changes: Changes): Receipt => {
  const receipt = retold(story, changes);
  return { ...receipt, checkpoint: receipt.checkpoint + cosign(crypto, story.cast.signers.witness, "one", receipt.checkpoint, 1) };
};

async function verify(receipt: Receipt, ...options: string[]): Promise<number> {
  const file = path.join(folder, "receipt.json");
  await writeFile(file, JSON.stringify(receipt));
  return xeno("verify", file, ...options);
}

it("misses an accepted stop that a receipt leaves out, though all else in it holds", async () => {
  const story = told("completed by interval");
  expect(await verify(witnessed(story, {}))).toBe(0);
  expect(typed.said.stdout).toMatch(/proved +bill/);
  expect(await stop(story)).toBe(0);
  expect(await verify(witnessed(story, {}))).toBe(1);
  expect(typed.said.stdout).toMatch(/FAILED +signatures +it lacks a document of this lease that you hold/);
  expect(typed.said.stdout).toMatch(/FAILED +bill/);
  expect(typed.said.stdout).not.toMatch(/proved +bill/);
  expect(typed.said.stderr).toMatch(/it lacks your stop [0-9a-f]{12}, which the broker took; where this file is from before/);
});

it("finds the stop where the receipt is whole", async () => {
  const story = told("a machine, stopped by its customer");
  expect(await stop(story)).toBe(0);
  expect(await verify(witnessed(story, BY_HAND))).toBe(0);
  expect(typed.said.stdout).toMatch(/proved +bill/);
  expect(await verify(witnessed(story, { ...BY_HAND, drop: ["stop"] }))).toBe(1);
  expect(typed.said.stderr).toMatch(/it lacks your stop/);
});

it("checks a file without a login by the fingerprint of its market, and by no other", async () => {
  const story = told("completed by interval");
  const right = fingerprintOf(crypto, story.cast.pins);
  vi.stubEnv("XENO_HOME", path.join(folder, "nobody"));
  expect(await verify(witnessed(story, {}))).toBe(125);
  expect(typed.said.stderr).toContain("no market yet: run `xeno login URL` first, or give --fingerprint");
  expect(await verify(witnessed(story, {}), "--fingerprint", right.replaceAll(" ", ""))).toBe(0);
  expect(typed.said.stdout).toMatch(/proved +bill/);
  expect(typed.said.stdout).not.toMatch(/your order/);
  expect(await verify(witnessed(story, { drop: ["settlement"] }), "--fingerprint", right)).not.toBe(0);
  expect(
    await verify(
      witnessed(story, {}),
      "--fingerprint",
      right.replace(/^./, (c) => (c === "1" ? "2" : "1")),
    ),
  ).toBe(125);
  expect(typed.said.stderr).toMatch(/it is of another market/);
});

it("takes no folder for a receipt, also where one has the lease's name", async () => {
  expect(await xeno("verify", folder)).toBe(125);
  expect(typed.said.stderr).toContain(`${folder} is a folder: name a receipt's file, or a lease`);
  const before = process.cwd();
  process.chdir(folder);
  try {
    await mkdir("abcd");
    expect(await xeno("verify", "abcd")).toBe(125);
  } finally {
    process.chdir(before);
  }
  expect(typed.said.stderr).not.toMatch(/EISDIR|is a folder/);
});

it("misses nothing that the broker refused", async () => {
  const story = told("completed by interval");
  broker.answer = () => refuse("wrong_state");
  expect(await stop(story)).toBe(125);
  expect(broker.filed.map(({ kind }) => kind)).toEqual(["stop"]);
  expect(await verify(witnessed(story, {}))).toBe(0);
});

it("fetches a saved receipt again when something was sent since, and says so where the broker still leaves it out", async () => {
  const story = told("a machine, stopped by its customer");
  const { lease } = story;
  let shown = witnessed(story, { ...BY_HAND, drop: ["stop"] });
  broker.reads[`/api/v1/leases/${lease}/receipt`] = () => shown;
  expect(await stop(story)).toBe(0);
  expect(await xeno("verify", lease)).toBe(1);
  expect(typed.said.stderr).toMatch(/it lacks your stop/);
  shown = witnessed(story, BY_HAND);
  expect(await xeno("verify", lease)).toBe(0);
  expect(typed.said.stdout).toMatch(/proved +bill/);
});

it("says whose a receipt is: yours, or a stranger's", async () => {
  const story = told("completed by interval");
  const { customer, owner, stranger, server } = story.cast;
  expect(await verify(witnessed(story, {}))).toBe(0);
  expect(typed.said.stdout).toMatch(/proved +purchase order binds your order to p_/);
  await logInAs(stranger, story.cast.key("witness"));
  expect(await verify(witnessed(story, {}), "--explain")).toBe(0);
  expect(typed.said.stdout).toContain(`binds ${customer.slice(0, 12)}…'s order, which is not yours,`);
  expect(typed.said.stdout).not.toMatch(/your (order|offer)|\(you\)/);
  for (const id of [customer, `${owner}, server ${server}`]) expect(typed.said.stdout).toContain(id);
});

it("explains each line: its documents, rules and numbers; --json has the same", async () => {
  const story = told("completed by interval");
  const receipt = witnessed(story, {});
  expect(await verify(receipt, "--explain")).toBe(0);
  const { id } = story.play.of("settlement").document;
  const { index } = receipt.documents.find((stored) => stored.id === id) ?? {};
  expect(typed.said.stdout).toMatch(new RegExp(`settlement +${id.slice(0, 12)} +by broker-receipts, leaf ${index}\n`));
  expect(typed.said.stdout).toMatch(/rules +L10, L11, M2, M3, B1 of docs\/protocol\.md/);
  expect(typed.said.stdout).toMatch(/work +0\.\d+ +21000 ms × \([12] vCPU at 0\.\d+, 512 MiB memory at 0\.\d+ a GiB, /);
  expect(typed.said.stdout).toMatch(/fee +0\.\d+ +due × 250 \/ 10000, rounded down/);
  const plain = await verify(receipt);
  expect(plain).toBe(0);
  expect(typed.said.stdout).not.toMatch(/rules|leaf/);
  expect(await verify(receipt, "--json")).toBe(0);
  const { lines, whose } = JSON.parse(typed.said.stdout) as { lines: Record<string, unknown>[]; whose: unknown };
  expect(whose).toMatchObject({ customer: story.cast.customer, yours: { order: true, offer: false } });
  const bill = lines.find(({ check }) => check === "bill");
  expect(bill).toMatchObject({ status: "proved", rules: ["L10", "L11", "M2", "M3", "B1"] });
  expect(bill?.["documents"]).toContainEqual({ kind: "settlement", id, by: "broker-receipts", index, grant: false });
  expect(bill?.["computed"]).toContainEqual(expect.objectContaining({ what: "fee", how: "due × 250 / 10000, rounded down" }));
});

it("shows of many documents the ends, and what is outside the log as such", async () => {
  const cast = new Cast({ crypto, createSigner }, 7);
  const script = new LeaseScript(cast, new Rng(7), { order: { terms: "by-interval" } }).known().bound().opened();
  for (let n = 1; n <= 6; n++) script.claimed(n * 9_000);
  const play = script.after(500).result({ usedMs: 54_500 }).over().play();
  const filed = play.filed.map((each) => ({ ...each, isPending: each.label === "settlement" }));
  expect(await verify(receiptOf(cast, leaseIn(play), filed), "--explain")).toBe(0);
  expect(typed.said.stdout).toMatch(/claimed +bill +.*of what it rests on 1 outside the log \(settlement\)/);
  expect(typed.said.stdout).toMatch(/settlement +[0-9a-f]{12} +by broker-receipts, outside the log/);
  expect(typed.said.stdout).toMatch(/… \d+ more/);
  expect(typed.said.stdout).toMatch(/claim 6 +54000 ms/);
  expect(typed.said.stdout).toMatch(/is wrong: \d+ lines proved; \d+ claimed: one party's word, or resting on what the log does not hold/);
});

it("takes no receipt of another lease for the one that was asked for", async () => {
  const [one, other] = [told("completed by interval"), told("a machine, stopped by its customer")];
  await mkdir(home.receipts, { recursive: true });
  const file = path.join(home.receipts, `${one.lease}.json`);
  await writeFile(file, JSON.stringify(witnessed(other, {})));
  expect(await xeno("verify", one.lease.slice(0, 12))).toBe(2);
  expect(typed.said.stderr).toContain(`is of lease ${other.lease.slice(0, 12)}, not of ${one.lease.slice(0, 12)}`);
  expect(typed.said.stdout).toBe("");
  await rm(file);
  const { document } = other.play.of("purchase-order");
  broker.reads[`/api/v1/leases/${one.lease.slice(0, 12)}`] = () => market.view(document, { state: "settled", end: market.end(document) });
  broker.reads[`/api/v1/leases/${other.lease}/receipt`] = () => witnessed(other, {});
  expect(await xeno("verify", one.lease.slice(0, 12))).toBe(2);
  expect(typed.said.stderr).toContain("the broker's answer is of lease");
  expect(await readdir(home.receipts)).toEqual([]);
});

describe("--re-execute", () => {
  const module = Buffer.from("a module");
  const job = (name: string) =>
    buildJob({
      ...{ module: bytesBlob(module), args: [name], env: [], mounts: [], stdin: bytesBlob(new Uint8Array()), engine: "engine-1" },
      ...{ memoryMibMax: 64, diskMibMax: 64, outputMibMax: 16, fuelMax: 1_000_000_000n, seed: new Uint8Array(32), clockBaseMs: 1 },
    });
  const folderOf = (jobHash: string) => path.join(home.data, "jobs", jobHash);
  /** A receipt of a lease of this job, of which the context's customer ordered it. */
  const receiptFor = ({ jobHash }: { jobHash: string }): Receipt => {
    const cast = new Cast({ crypto, createSigner }, 7);
    const script = new LeaseScript(cast, new Rng(7), { order: { terms: "on-result", jobHash } }).known().bound().opened().after(2_500);
    const play = script.result({ jobHash }).delivered().over().play();
    return receiptOf(cast, leaseIn(play), play.filed);
  };
  const refuses = async (receipt: Receipt, why: RegExp): Promise<void> => {
    expect(await verify(receipt, "--re-execute")).toBe(2);
    expect(typed.said.stderr).toMatch(why);
    // nothing is said of the owner
    expect(typed.said.stdout).toBe("");
  };

  it("refuses a receipt of a job that was not kept here", async () => {
    await keepJob(job("mine"));
    await refuses(receiptFor(job("a stranger's")), /this machine did not keep the job/);
  });

  it("refuses a kept job that is another than the one that was ordered", async () => {
    const [ordered, other] = [job("one"), job("two")];
    await keepJob(other);
    await rename(folderOf(other.jobHash), folderOf(ordered.jobHash));
    const [is, was] = [other, ordered].map(({ jobHash }) => jobHash.slice(0, 12));
    await refuses(receiptFor(ordered), new RegExp(`job ${was} was ordered, and .* holds another \\(${is}\\): nothing was run`));
  });

  it("refuses files of another job, and a list of other files", async () => {
    const ordered = job("one");
    await keepJob(ordered);
    const file = path.join(folderOf(ordered.jobHash), "job.json");
    const kept = JSON.parse(await readFile(file, "utf8")) as { inputs: { entries: unknown[] } };
    const entries = [...kept.inputs.entries, { kind: "file", path: "x", digest: "ab".repeat(32), size: 1 }];
    await writeFile(file, JSON.stringify({ ...kept, inputs: { ...kept.inputs, entries } }));
    await refuses(receiptFor(ordered), /the list of files .* is not the one of job/);
    await writeFile(file, JSON.stringify(kept));
    await writeFile(path.join(home.data, "blobs", bytesBlob(module).digest), "another module");
    await refuses(receiptFor(ordered), /is not the file of job [0-9a-f]{12} any more/);
    await writeFile(file, "{}");
    await refuses(receiptFor(ordered), /holds no job that this xeno can read/);
  });

  it("refuses a kept job of which a file has made room for others", async () => {
    const ordered = job("one");
    await keepJob(ordered);
    await rm(path.join(home.data, "blobs", bytesBlob(module).digest));
    await refuses(
      receiptFor(ordered),
      /does not have every file of job [0-9a-f]{12} any more: what is used least makes room: nothing was run/,
    );
  });

  it("keeps whole files: one that broke off is written again", async () => {
    const blob = path.join(home.data, "blobs", bytesBlob(module).digest);
    await mkdir(path.dirname(blob), { recursive: true });
    await writeFile(blob, module.subarray(0, 3));
    await keepJob(job("one"));
    expect(await readFile(blob)).toEqual(module);
  });

  it("runs nothing for a receipt that does not hold, whatever result stands in it", async () => {
    const [mine, other] = [job("mine"), job("two")];
    await keepJob(other);
    const [receipt, foreign] = [receiptFor(mine), receiptFor(other)];
    const results = foreign.documents.filter(({ kind }) => kind === "result").map((stored) => ({ ...stored, index: null, proof: [] }));
    const swapped = { ...receipt, documents: [...results, ...receipt.documents.filter(({ kind }) => kind !== "result")] };
    expect(await verify(swapped, "--re-execute")).toBe(1);
    expect(typed.said.stderr).toContain("nothing was run again, for the receipt does not hold");
    expect(typed.said.stdout).toMatch(/FAILED +result +.*is of another lease/);
  });

  it("has nothing to run where there is no result, or the job never ran", async () => {
    for (const name of ["its server was not heard any more", "inputs that never came"]) {
      expect(await verify(witnessed(told(name), {}), "--re-execute"), name).toBe(125);
      expect(typed.said.stderr).toContain("leave out --re-execute");
    }
  });
});
