/**
 * The latest checkpoint that witnesses have cosigned. Who controls the inputs: anyone may post a note; only the operator's witnesses
 * count.
 */
import { cosignatureOf, refuse, verifyCheckpoint, type Checkpoint, type Refusal, type Witness } from "@xenoservers/protocol";
import { readSetting, type Setting } from "../store/settings.ts";
import type { LogDesk } from "./sequencer.ts";

export const WITNESSES = "witnesses";
const COSIGNED = "cosigned";

type Cosigned = NonNullable<Setting<"cosigned">>;

export async function witnessesOf({ store }: Pick<LogDesk, "store">): Promise<Witness[]> {
  return readSetting("witnesses", (await store.load("setting", [WITNESSES])).get(WITNESSES));
}

export async function cosignedHead({ store }: Pick<LogDesk, "store">): Promise<Cosigned | null> {
  return readSetting("cosigned", (await store.load("setting", [COSIGNED])).get(COSIGNED));
}

/** The broker's own part of the note, with the line of every witness that either note carries. */
function merge(
  { crypto, keys }: LogDesk,
  witnesses: readonly Witness[],
  checkpoint: Checkpoint,
  [newest, ...older]: readonly [string, ...string[]],
): string {
  const notes = [newest, ...older];
  const own = newest.split("\n").filter((line, i) => i < 4 || line.startsWith(`\u2014 ${checkpoint.origin} `));
  const lines = witnesses.flatMap((witness) => notes.map((note) => cosignatureOf(crypto, witness, note)?.line).find(Boolean) ?? []);
  const note = `${own.join("\n")}\n${lines.join("")}`;
  return verifyCheckpoint(crypto, keys.checkpoints.publicKey, note) ? note : newest;
}

/**
 * Takes a cosigned note. Refused: `bad_signature` when the broker did not sign the checkpoint, `key_not_allowed` when no witness of the
 * market did.
 */
export async function acceptCosignature(desk: LogDesk, note: string): Promise<{ size: number } | Refusal> {
  const { store, crypto, keys } = desk;
  const checkpoint = verifyCheckpoint(crypto, keys.checkpoints.publicKey, note);
  const head = await store.logHead();
  const current = head && verifyCheckpoint(crypto, keys.checkpoints.publicKey, head.checkpoint);
  if (!checkpoint || checkpoint.origin !== current?.origin || checkpoint.size > current.size)
    return refuse("bad_signature", { why: "this broker did not sign that checkpoint" });
  const witnesses = await witnessesOf(desk);
  if (!witnesses.some((witness) => cosignatureOf(crypto, witness, note)))
    return refuse("key_not_allowed", { why: "no witness of this market cosigned it" });
  const row = (await store.load("setting", [COSIGNED])).get(COSIGNED);
  const before = readSetting("cosigned", row);
  const known = before?.origin === checkpoint.origin ? before : null;
  if (known && known.size > checkpoint.size) return { size: known.size };
  const value = {
    origin: checkpoint.origin,
    size: checkpoint.size,
    note: merge(desk, witnesses, checkpoint, known?.size === checkpoint.size ? [note, known.note] : [note]),
  };
  const [result] = await store.commit([
    {
      id: `cosigned/${row?.version ?? 0}/${checkpoint.origin}/${checkpoint.size}`,
      answer: {},
      uniques: [],
      puts: [{ kind: "setting", id: COSIGNED, expect: row?.version ?? 0, data: { id: COSIGNED, value } }],
      floors: [],
      transfers: [],
      documents: [],
      events: [],
    },
  ]);
  return result?.status === "applied" || result?.status === "replayed" ? { size: checkpoint.size } : refuse("conflict");
}
