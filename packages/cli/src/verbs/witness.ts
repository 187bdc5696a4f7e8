/**
 * `xeno witness`: watches a broker's log and cosigns each checkpoint that extends what it has cosigned before; refuses a fork and keeps
 * the proof. Who controls the inputs: the broker, every byte it serves.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import {
  API,
  cosign,
  fromHex,
  verifyCheckpoint,
  verifyConsistency,
  type Checkpoint,
  type Evidence,
  type MarketPins,
  type Signer,
} from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { fetchMarket, fingerprintOf, pinsOf } from "@xenoservers/sdk";
import { packFork } from "@xenoservers/verify";
import { z } from "zod";
import { zSeed } from "../input/ci-token.ts";
import { home, writePrivate } from "../input/home.ts";
import type { WitnessInput } from "../input/verbs/proof.ts";
import { untilTold } from "../local/until-told.ts";
import { UserError, print, red, say } from "../output/ui.ts";

const NOTE_BYTES_MAX = 4_000;
const zState = z.strictObject({
  seed: zSeed,
  /** The log key seen first, and the last cosigned note of each log. */
  logKey: z.string(),
  logs: z.record(z.string(), z.string()),
});
type State = z.infer<typeof zState>;

async function loadState(file: string, pins: MarketPins): Promise<State> {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) {
    const state: State = { seed: randomBytes(32).toString("hex"), logKey: pins.keys.checkpoints, logs: {} };
    await writePrivate(file, JSON.stringify(state));
    return state;
  }
  const state = zState.parse(JSON.parse(text));
  if (state.logKey !== pins.keys.checkpoints)
    throw new UserError(`the broker shows another log key than the one this witness watches (${file})`);
  return state;
}

type Seen = { kind: "extends" } | { kind: "nothing-new" } | { kind: "refused"; why: string; evidence: Evidence | null };
const refused = (why: string, evidence: Evidence | null = null): Seen => ({ kind: "refused", why, evidence });

/** A witness of one market: its key, and the file of what it has cosigned. */
interface Witness {
  url: string;
  pins: MarketPins;
  name: string;
  signer: Signer;
  state: State;
  file: string;
}

/** Whether a checkpoint extends the last cosigned one. */
async function judge({ url, pins, state }: Witness, note: string, next: Checkpoint): Promise<Seen> {
  const last = state.logs[next.origin];
  const before = last === undefined ? null : verifyCheckpoint(nodeCrypto, pins.keys.checkpoints, last);
  if (last === undefined || !before) return { kind: "extends" };
  if (next.size === before.size && next.root === before.root) return { kind: "nothing-new" };
  if (next.size === before.size) return refused("two logs of the same size", packFork(nodeCrypto, pins.keys.checkpoints, last, note));
  if (next.size < before.size) return refused(`the log shrank from ${before.size} to ${next.size} leaves`);
  if (await isConsistent(url, before, next)) return { kind: "extends" };
  return refused(`the log of ${next.size} leaves does not begin with the ${before.size} that were cosigned`);
}

async function isConsistent(url: string, before: Checkpoint, next: Checkpoint): Promise<boolean> {
  const query = new URL(API.consistency.path, url);
  query.search = new URLSearchParams({ from: String(before.size), to: String(next.size) }).toString();
  const proof = API.consistency.reply.safeParse(await (await fetch(query)).json().catch(() => null));
  const hashes = proof.data?.proof.map(fromHex).filter((hash) => hash !== null);
  const [from, to] = [fromHex(before.root), fromHex(next.root)];
  return hashes !== undefined && from !== null && to !== null && verifyConsistency(nodeCrypto, before.size, from, next.size, to, hashes);
}

export async function witness({ url, name, data, every, once }: WitnessInput): Promise<void> {
  const folder = path.resolve(data ?? path.join(home.data, "witness"));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const market = await fetchMarket(url);
  const pins = pinsOf(market);
  const file = path.join(folder, "witness.json");
  const state = await loadState(file, pins);
  const self: Witness = { url, pins, name, state, file, signer: createSigner(Buffer.from(state.seed, "hex")) };
  say(`market       ${market.origin}, fingerprint ${fingerprintOf(nodeCrypto, pins)}`);
  print(`${name}=${self.signer.publicKey}`);
  say("the operator lists this witness with `xeno broker witness`, customers pin it with `xeno login --witness`");
  let told = false;
  void untilTold().then(() => (told = true));
  for (;;) {
    await look(self).catch((error: unknown) => {
      if (error instanceof UserError || once) throw error;
      say(`not reached: ${error instanceof Error ? error.message : String(error)}`);
    });
    if (once || told) return;
    await new Promise((resolve) => setTimeout(resolve, every));
    if (told) return;
  }
}

async function look(self: Witness): Promise<void> {
  const { url, pins, state, file } = self;
  const note = (await (await fetch(new URL(API.checkpoint.path, url))).text()).slice(0, NOTE_BYTES_MAX);
  const checkpoint = verifyCheckpoint(nodeCrypto, pins.keys.checkpoints, note);
  if (!checkpoint) throw new UserError("the broker serves a checkpoint that its log key did not sign");
  const seen = await judge(self, note, checkpoint);
  if (seen.kind === "refused") {
    const proof = path.join(path.dirname(file), `fork-${checkpoint.size}.json`);
    await writePrivate(proof, JSON.stringify(seen.evidence ?? { first: state.logs[checkpoint.origin], second: note }, null, 1));
    throw new UserError(
      red(`NOT cosigned: ${seen.why}; both checkpoints are in ${proof}${seen.evidence ? ": show it with `xeno verify`" : ""}`),
    );
  }
  if (seen.kind === "extends") {
    state.logs[checkpoint.origin] = note;
    await writePrivate(file, JSON.stringify(state)); // before it is sent: what was cosigned is never forgotten
  }
  const why = await handIn(self, note);
  if (why !== null) say(`cosigned ${checkpoint.size} leaves; the broker did not take it (${why})`);
  else if (seen.kind === "extends") say(`cosigned ${checkpoint.size} leaves`);
}

const zRefused = z.looseObject({ error: z.looseObject({ code: z.string(), why: z.string().optional() }) });

/** Null where the broker took it; else why not. */
async function handIn({ url, signer, name }: Witness, note: string): Promise<string | null> {
  const line = cosign(nodeCrypto, signer, name, note, Math.floor(Date.now() / 1_000));
  const response = await fetch(new URL(API.cosign.path, url), {
    method: API.cosign.method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ note: `${note}${line}` }),
  });
  if (response.ok) return null;
  const body = zRefused.safeParse(await response.json().catch(() => null));
  return body.data?.error.why ?? body.data?.error.code ?? "unavailable";
}
