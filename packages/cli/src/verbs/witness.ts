/**
 * `xeno witness`: watches a broker's log and cosigns each checkpoint that extends what it has cosigned before, over restores that are
 * declared; refuses a fork for ever and keeps the proof. Who controls the inputs: the broker, every byte it serves.
 */
import { randomBytes } from "node:crypto";
import path from "node:path";
import { API, cosign, verifyCheckpoint, zHistory, type MarketPins, type Signer } from "@xenoservers/protocol";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { fetchFrom, fetchMarket, fingerprintOf, folderFor, home, pinsOf, zSeed } from "@xenoservers/sdk";
import { NOTHING_FOLLOWED, followLog, type LogSource, type Loss, type Seen } from "@xenoservers/verify";
import * as z from "zod/mini";
import type { WitnessInput } from "../input/verbs/proof.ts";
import { untilTold } from "../local/until-told.ts";
import { print, red, say, yellow } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

const NOTE_BYTES_MAX = 4_000;
const zState = z.strictObject({
  seed: zSeed,
  /** The log key seen first. */
  logKey: z.string(),
  followed: z.strictObject({
    current: z.nullable(z.string()),
    logs: z.record(z.string(), z.array(z.string())),
    forked: z.record(z.string(), z.string()),
  }),
});
type State = Omit<z.infer<typeof zState>, "followed"> & { followed: Extract<Seen, { followed: unknown }>["followed"] };

async function loadState(file: string, pins: MarketPins): Promise<State> {
  const text = await readIfThere(file);
  if (text === null) {
    const state: State = { seed: randomBytes(32).toString("hex"), logKey: pins.keys.checkpoints, followed: NOTHING_FOLLOWED };
    await writeWhole(file, JSON.stringify(state));
    return state;
  }
  const state = zState.parse(JSON.parse(text));
  if (state.logKey !== pins.keys.checkpoints)
    throw new UserError(`the broker shows another log key than the one this witness watches (${file})`);
  return state;
}

/** A witness of one market: its key, and the file of what it has cosigned. */
interface Witness {
  url: string;
  pins: MarketPins;
  name: string;
  signer: Signer;
  state: State;
  file: string;
}

/** What the broker serves beside its checkpoint. */
function sourceAt(url: string): LogSource {
  const read = async (route: { path: string }, query: Record<string, string>): Promise<unknown> => {
    const response = await fetchFrom(url, `${route.path}?${new URLSearchParams(query).toString()}`);
    return response.json().catch(() => null);
  };
  return {
    history: async () => zHistory.parse(await read(API.history, {})),
    async inclusion(leaf, size) {
      const found = API.inclusion.reply.safeParse(await read(API.inclusion, { leaf, size: String(size) }));
      return found.data ?? null;
    },
    async consistency(epoch, from, to) {
      const proof = API.consistency.reply.safeParse(await read(API.consistency, { epoch, from: String(from), to: String(to) }));
      return proof.data?.proof ?? null;
    },
  };
}

export async function witness({ url, name, data, every, once }: WitnessInput): Promise<void> {
  const folder = path.resolve(data ?? path.join(home.data, "witness"));
  await folderFor(folder, "--data");
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
  const note = (await (await fetchFrom(url, API.checkpoint.path)).text()).slice(0, NOTE_BYTES_MAX);
  const checkpoint = verifyCheckpoint(nodeCrypto, pins.keys.checkpoints, note);
  if (!checkpoint) throw new UserError("the broker serves a checkpoint that its log key did not sign");
  const seen = await followLog({ crypto: nodeCrypto, market: pins }, sourceAt(url), state.followed, note);
  if (seen.kind === "refused") return refuse(self, seen, note, checkpoint.size);
  if (seen.kind === "extends") {
    for (const loss of seen.losses) await report(self, loss);
    state.followed = seen.followed;
    await writeWhole(file, JSON.stringify(state)); // before it is sent: what was cosigned is never forgotten
  }
  if (checkpoint.size === 0) return say("the log is still empty: there is nothing to cosign");
  const why = await handIn(self, note);
  if (why !== null) say(`cosigned ${checkpoint.size} leaves; the broker did not take it (${why})`);
  else if (seen.kind === "extends") say(`cosigned ${checkpoint.size} leaves`);
}

/** Keeps what was shown, with the proof where there is one, and what is never cosigned again. */
async function refuse(
  { state, file }: Witness,
  { why, evidence, followed }: Extract<Seen, { kind: "refused" }>,
  note: string,
  size: number,
) {
  const proof = path.join(path.dirname(file), `fork-${size}.json`);
  const last = followed.current === null ? undefined : followed.logs[followed.current]?.at(-1);
  // the proof of a fork that is kept stays
  if (evidence || (await readIfThere(proof)) === null)
    await writeWhole(proof, JSON.stringify(evidence ?? { first: last, second: note }, null, 1));
  state.followed = followed;
  await writeWhole(file, JSON.stringify(state));
  throw new UserError(red(`NOT cosigned: ${why}; both checkpoints are in ${proof}${evidence ? ": show it with `xeno verify`" : ""}`));
}

/** A restore is declared, and followed: what it lost is said, and kept. */
async function report({ file }: Witness, { epoch, lostLeaves, evidence }: Loss): Promise<void> {
  const proof = path.join(path.dirname(file), `loss-${epoch}.json`);
  if (evidence) await writeWhole(proof, JSON.stringify(evidence, null, 1));
  const where = evidence ? `; the proof is in ${proof}` : "";
  say(yellow(`a restore: the broker has lost ${lostLeaves} leaves of epoch ${epoch} that were cosigned here${where}`));
}

const zRefused = z.looseObject({ error: z.looseObject({ code: z.string(), why: z.optional(z.string()) }) });

/** Null where the broker took it; else why not. */
async function handIn({ url, signer, name }: Witness, note: string): Promise<string | null> {
  const line = cosign(nodeCrypto, signer, name, note, Math.floor(Date.now() / 1_000));
  const response = await fetchFrom(url, API.cosign.path, {
    method: API.cosign.method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ note: `${note}${line}` }),
  });
  if (response.ok) return null;
  const body = zRefused.safeParse(await response.json().catch(() => null));
  return body.data?.error.why ?? body.data?.error.code ?? "unavailable";
}
