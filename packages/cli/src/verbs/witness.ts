/**
 * `xeno witness`: watches a broker's log and cosigns each checkpoint that extends what it has cosigned before; refuses a fork and keeps the proof.
 * Who controls the inputs: the broker, every byte it serves.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { API, cosign, fromHex, verifyCheckpoint, verifyConsistency, type Checkpoint, type Evidence } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { fetchMarket, fingerprintOf, pinsOf } from "@xenoservers/sdk";
import { packFork, type MarketPins } from "@xenoservers/verify";
import { z } from "zod";
import { home, writePrivate } from "../input/home.ts";
import { parseDurationMs } from "../input/parse.ts";
import { UserError, print, red, say } from "../output/ui.ts";
import { untilTold } from "./broker.ts";

const NOTE_BYTES_MAX = 4_000;
const zState = z.strictObject({
  seed: z.string().regex(/^[0-9a-f]{64}$/),
  /** The log key seen first, and the last cosigned note of each log. */
  logKey: z.string(),
  logs: z.record(z.string(), z.string()),
});
type State = z.infer<typeof zState>;

export interface WitnessOptions {
  data?: string;
  name: string;
  every: string;
  once?: boolean;
}

async function loadState(file: string, pins: MarketPins): Promise<State> {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) {
    const state: State = { seed: randomBytes(32).toString("hex"), logKey: pins.keys.checkpoints, logs: {} };
    await writePrivate(file, JSON.stringify(state));
    return state;
  }
  const state = zState.parse(JSON.parse(text));
  if (state.logKey !== pins.keys.checkpoints) throw new UserError(`the broker shows another log key than the one this witness watches (${file})`);
  return state;
}

type Seen = { kind: "extends" } | { kind: "nothing-new" } | { kind: "refused"; why: string; evidence: Evidence | null };

/** Whether a checkpoint extends the last cosigned one. */
async function judge(url: string, pins: MarketPins, last: string | undefined, note: string, next: Checkpoint): Promise<Seen> {
  const before = last === undefined ? null : verifyCheckpoint(nodeCrypto, pins.keys.checkpoints, last);
  if (!before) return { kind: "extends" };
  if (next.size === before.size)
    return next.root === before.root
      ? { kind: "nothing-new" }
      : { kind: "refused", why: "two logs of the same size", evidence: packFork(nodeCrypto, pins.keys.checkpoints, last!, note) };
  if (next.size < before.size) return { kind: "refused", why: `the log shrank from ${before.size} to ${next.size} leaves`, evidence: null };
  const query = new URL(API.consistency.path, url);
  query.search = new URLSearchParams({ from: String(before.size), to: String(next.size) }).toString();
  const response = await fetch(query);
  const proof = API.consistency.reply.safeParse(await response.json().catch(() => null));
  const hashes = proof.success ? proof.data.proof.map((hash) => fromHex(hash)!) : [];
  const consistent = proof.success && verifyConsistency(nodeCrypto, before.size, fromHex(before.root)!, next.size, fromHex(next.root)!, hashes);
  return consistent
    ? { kind: "extends" }
    : { kind: "refused", why: `the log of ${next.size} leaves does not begin with the ${before.size} that were cosigned`, evidence: null };
}

export async function witness(url: string, options: WitnessOptions): Promise<void> {
  const folder = path.resolve(options.data ?? path.join(home.data, "witness"));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const market = await fetchMarket(url);
  const pins = pinsOf(market);
  const file = path.join(folder, "witness.json");
  const state = await loadState(file, pins);
  const signer = createSigner(Buffer.from(state.seed, "hex"));
  say(`market       ${market.origin}, fingerprint ${fingerprintOf(nodeCrypto, pins)}`);
  print(`${options.name}=${signer.publicKey}`);
  say("the operator lists this witness with `xeno broker witness`, customers pin it with `xeno login --witness`");
  let told = false;
  void untilTold().then(() => (told = true));
  const everyMs = parseDurationMs(options.every, "--every");
  for (;;) {
    await look(url, pins, state, file, options.name, signer).catch((error: unknown) => {
      if (error instanceof UserError || options.once) throw error;
      say(`not reached: ${String((error as Error).message)}`);
    });
    if (options.once || told) return;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
    if (told) return;
  }
}

async function look(url: string, pins: MarketPins, state: State, file: string, name: string, signer: ReturnType<typeof createSigner>): Promise<void> {
  const note = (await (await fetch(new URL(API.checkpoint.path, url))).text()).slice(0, NOTE_BYTES_MAX);
  const checkpoint = verifyCheckpoint(nodeCrypto, pins.keys.checkpoints, note);
  if (!checkpoint) throw new UserError("the broker serves a checkpoint that its log key did not sign");
  const seen = await judge(url, pins, state.logs[checkpoint.origin], note, checkpoint);
  if (seen.kind === "refused") {
    const proof = path.join(path.dirname(file), `fork-${checkpoint.size}.json`);
    await writePrivate(proof, JSON.stringify(seen.evidence ?? { first: state.logs[checkpoint.origin], second: note }, null, 1));
    throw new UserError(red(`NOT cosigned: ${seen.why}; both checkpoints are in ${proof}${seen.evidence ? ": show it with `xeno verify`" : ""}`));
  }
  if (seen.kind === "extends") {
    state.logs[checkpoint.origin] = note;
    await writePrivate(file, JSON.stringify(state)); // before it is sent: what was cosigned is never forgotten
  }
  const line = cosign(nodeCrypto, signer, name, note, Math.floor(Date.now() / 1_000));
  const response = await fetch(new URL(API.cosign.path, url), {
    method: API.cosign.method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ note: `${note}${line}` }),
  });
  if (!response.ok) {
    const { error } = (await response.json().catch(() => ({ error: { code: "unavailable" } }))) as { error: { code: string; why?: string } };
    say(`cosigned ${checkpoint.size} leaves; the broker did not take it (${error.why ?? error.code})`);
  } else if (seen.kind === "extends") say(`cosigned ${checkpoint.size} leaves`);
}
