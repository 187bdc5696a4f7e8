/**
 * Evidence files: what convicts a party by signatures alone, on a machine that never saw the market. Who controls the input: whoever
 * hands over the file.
 */
import { z } from "zod";
import { zEnvelope, zId, zKey } from "./documents/parts.ts";
import { zPromise } from "./leaf.ts";

const NOTE_CHARS_MAX = 4_000;
const LEAF_CHARS_MAX = 200_000;
/** 32 bytes each: a log up to this size is carried whole. */
const EVIDENCE_LEAVES_MAX = 200_000;

/** A party's first document, and every grant, rotation and revocation on the way to one key. */
const GRANTS_MAX = 256;

export const EVIDENCE_FORMAT = "xenoservers-evidence-1";
const base = { format: z.literal(EVIDENCE_FORMAT) };
const zNote = z.string().max(NOTE_CHARS_MAX);

export const zEvidence = z.discriminatedUnion("kind", [
  /** Two checkpoints of one log and size with different roots. `key`: the broker's log key. */
  z.strictObject({ ...base, kind: z.literal("fork"), key: zKey, first: zNote, second: zNote }),
  /** Two documents of one signer, who may say only one of them. `grants`: the public documents that give a party's key its role. */
  z.strictObject({
    ...base,
    kind: z.literal("contradiction"),
    first: zEnvelope,
    second: zEnvelope,
    grants: z.array(zEnvelope).max(GRANTS_MAX).default([]),
  }),
  /** Two leases opened for one slot of an order: purchase order and opening of each. */
  z.strictObject({ ...base, kind: z.literal("sold-twice"), documents: z.tuple([zEnvelope, zEnvelope, zEnvelope, zEnvelope]) }),
  /** A promised leaf that is not in the log before a leaf that was accepted after the promise had run out. */
  z.strictObject({
    ...base,
    kind: z.literal("broken-promise"),
    /** The broker's log key. */
    key: zKey,
    promise: zPromise,
    checkpoint: zNote,
    /** Hashes of all leaves of the checkpoint's log, in order. */
    leaves: z.array(zId).min(1).max(EVIDENCE_LEAVES_MAX),
    later: z.strictObject({ index: z.int().min(0), leaf: z.string().max(LEAF_CHARS_MAX) }),
  }),
]);
export type Evidence = z.infer<typeof zEvidence>;
export type EvidenceOf<K extends Evidence["kind"]> = Extract<Evidence, { kind: K }>;
