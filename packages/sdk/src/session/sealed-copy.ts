/**
 * A result that waited for its customer: its server sealed all bytes to the order's channel key and left them with the broker. Every byte
 * is checked against what the server signed. Who controls the inputs: the broker (what it hands out), the server (what is in it).
 */
import { openSealed } from "@xenoservers/protocol/sealed";
import type { MarketClient } from "../client.ts";
import { channelKeyFor } from "../identity.ts";
import type { BoundOrder } from "../purchase-order.ts";
import { readDocuments } from "../receipt.ts";
import { NotDelivered } from "./fetches.ts";
import { bytesProblem, checkResult, type Delivered } from "./result.ts";
import { STREAMS, Streams, type Stream } from "./streams.ts";

interface SealedCopy {
  delivered: Delivered;
  streams: Record<Stream, Uint8Array>;
  files: ReadonlyMap<string, Uint8Array>;
}

/** Fetches and opens it; throws NotDelivered where it is not what was signed, RefusedError where there is none. */
export async function fetchSealed(client: MarketClient, bound: BoundOrder): Promise<SealedCopy> {
  const { documents } = await readDocuments(client, bound.po.id);
  const checked = checkResult(bound, documents.find(({ kind }) => kind === "result")?.envelope);
  if (!checked.ok) throw new NotDelivered(`the server's result is not right: ${checked.why}`);
  const { payload } = checked.document;
  const { id } = bound.po;
  const context = { lease: id, result: checked.document.id };
  const key = channelKeyFor(client.identity, bound.order.payload.channelKey);
  if (!key) throw new NotDelivered("the copy that lies with the broker is sealed to another key");
  const opened = await openSealed(client.crypto, key.secretKey, context, (part) => client.readBytes("sealed", { params: { id, part } }));
  if (!opened) throw new NotDelivered("the copy that lies with the broker is not for this key, or not what a server seals");
  const { tree, stdout, stderr, files } = opened;
  const streams = new Streams({ stdout: 0, stderr: 0 });
  const given = { stdout, stderr };
  for (const stream of STREAMS) streams.take(stream, 0, given[stream]);
  const problem = bytesProblem(client, payload, tree, streams);
  if (problem !== null) throw new NotDelivered(`in the copy that lies with the broker ${problem}`);
  return { delivered: { result: payload, tree: [...tree], from: "broker" }, streams: given, files };
}
