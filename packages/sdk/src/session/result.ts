/**
 * A server's signed result as its customer takes it: right signer, lease and job, and the very bytes that were signed. Who controls the
 * inputs: the server.
 */
import { paysOnDelivery, type Scope } from "@xenoservers/market";
import { canonicalBytes, ifCanonical, toHex, verifyDocumentOf, type Payload, type Verified } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { hasTwoSizes } from "@xenoservers/protocol/sealed";
import type { MarketClient } from "../client.ts";
import type { BoundOrder } from "../purchase-order.ts";
import type { Streams } from "./streams.ts";

export type TreeFile = Extract<InputEntry, { kind: "file" }>;

export interface Delivered {
  result: Payload<"result">;
  tree: InputEntry[];
  /** From whom its bytes came: from the server itself, or as the copy that it left with the broker. */
  from: "server" | "broker";
}

type CheckedResult = { ok: true; document: Verified<"result"> } | { ok: false; why: string };

const wrong = (why: string): CheckedResult => ({ ok: false, why });

/** The result's document alone: whose it is and for what. */
export function checkResult({ po, order, world, serving }: BoundOrder, untrusted: unknown): CheckedResult {
  // a server's key that was revoked since cannot undo what it took up before: the broker decides whether the result counts
  const read = verifyDocumentOf("result", untrusted, { ...world, at: po.payload.issuedAt });
  if (!read.ok) return wrong(`it is not rightly signed (${read.code})`);
  const { keyid, payload } = read.document;
  if (keyid !== serving.serverKey || payload.lease !== po.id) return wrong("it is not signed by the server for this lease");
  return payload.jobHash === order.payload.jobHash ? { ok: true, document: read.document } : wrong("it is of another job than was ordered");
}

/** What of the bytes is not what the result says; null when all that is here is. */
export function bytesProblem(
  client: MarketClient,
  result: Payload<"result">,
  tree: readonly InputEntry[],
  streams: Streams,
): string | null {
  if (ifCanonical(() => toHex(client.crypto.sha256(canonicalBytes(tree)))) !== result.outputDigest)
    return "the list of files is not the one that it signed";
  if (hasTwoSizes(tree)) return "the list of files gives one file two sizes";
  const stream = streams.difference(result);
  return stream === null ? null : `${stream} is not what it signed`;
}

const RECEIPTS: readonly Scope[] = ["control", "spend"];

/** The customer's signed word that it has what was signed; null where none is asked for, or this key may not give it. */
export function wordOf(
  client: MarketClient,
  { order, po }: BoundOrder,
  { id, payload }: Verified<"result">,
): Verified<"result">["envelope"] | null {
  const may = RECEIPTS.some((scope) => client.identity.scopes.includes(scope));
  if (!may || !paysOnDelivery(order.payload, payload)) return null;
  return client.sign("delivery", { lease: po.id, result: id, sealed: null }).envelope;
}
