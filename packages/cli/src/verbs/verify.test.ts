/** What a customer signed, against receipts from which its broker, with all its keys, leaves it out: by the verbs themselves. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { cosign, refuse, toHex, utf8, type Receipt } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PaperBroker } from "../../../../test/support/paper-broker.ts";
import { BROKER } from "../../../verify/src/testing/cast.ts";
import { retold, type Changes } from "../../../verify/src/testing/moves.ts";
import { storyOf, type Story } from "../../../verify/src/testing/stories.ts";
import { saveContext } from "../input/home.ts";
import { program } from "../main.ts";
import { reportError } from "../output/report.ts";

const told = (name: string): Story => storyOf({ crypto, createSigner }, name, 7);
/** What `xeno lease stop` signs in place of the story's own. */
const BY_HAND: Changes = { held: [...BROKER, "device"], edits: { stop: { reason: "stopped by hand" } } };

let folder: string;
let market: PaperMarket;
let broker: PaperBroker;
let said: { stdout: string; stderr: string };

async function xeno(...argv: string[]): Promise<number> {
  said = { stdout: "", stderr: "" };
  process.exitCode = 0;
  try {
    await program().parseAsync(argv, { from: "user" });
    return process.exitCode;
  } catch (error) {
    return reportError(error, argv.includes("--json"));
  } finally {
    process.exitCode = 0;
  }
}

/** The broker of the stories, and their customer's device as the context. */
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-verify-"));
  vi.stubEnv("XENO_HOME", folder);
  const { cast } = told("completed by interval");
  const { orders, receipts, checkpoints, operator, witness } = cast.signers;
  market = Object.assign(new PaperMarket(new Random(4), Date.now(), cast.pins.origin), { orders, receipts, checkpoints, operator });
  broker = await PaperBroker.start(market);
  await saveContext("m", {
    ...{ url: broker.url, pins: cast.pins, currency: "credits", party: cast.customer, account: cast.account, role: "device" },
    ...{ scopes: [...ROLE_SCOPES.device], label: "", leaseLabel: null, seed: toHex(crypto.sha256(utf8("device 7"))) },
    witnesses: [{ name: "one", key: witness.publicKey }],
  });
  for (const stream of ["stdout", "stderr"] as const)
    vi.spyOn(process[stream], "write").mockImplementation((text) => {
      said[stream] += String(text);
      return true;
    });
});
afterEach(async () => {
  vi.restoreAllMocks();
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

async function verify(receipt: Receipt): Promise<number> {
  const file = path.join(folder, "receipt.json");
  await writeFile(file, JSON.stringify(receipt));
  return xeno("verify", file);
}

it("misses an accepted stop that a receipt leaves out, though all else in it holds", async () => {
  const story = told("completed by interval");
  expect(await verify(witnessed(story, {}))).toBe(0);
  expect(said.stdout).toMatch(/proved +bill/);
  expect(await stop(story)).toBe(0);
  expect(await verify(witnessed(story, {}))).toBe(1);
  expect(said.stdout).toMatch(/FAILED +signatures +it lacks a document of this lease that you hold/);
  expect(said.stdout).toMatch(/FAILED +bill/);
  expect(said.stdout).not.toMatch(/proved +bill/);
  expect(said.stderr).toMatch(/it lacks your stop [0-9a-f]{12}, which the broker took; where this file is from before/);
});

it("finds the stop where the receipt is whole", async () => {
  const story = told("a machine, stopped by its customer");
  expect(await stop(story)).toBe(0);
  expect(await verify(witnessed(story, BY_HAND))).toBe(0);
  expect(said.stdout).toMatch(/proved +bill/);
  expect(await verify(witnessed(story, { ...BY_HAND, drop: ["stop"] }))).toBe(1);
  expect(said.stderr).toMatch(/it lacks your stop/);
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
  expect(said.stderr).toMatch(/it lacks your stop/);
  shown = witnessed(story, BY_HAND);
  expect(await xeno("verify", lease)).toBe(0);
  expect(said.stdout).toMatch(/proved +bill/);
});
