/** For tests of doubts at the desk: servers whose owners have stake, and leases that end with any result at once. */
import { expect } from "vitest";
import type { Payload, SignedDocument } from "@xenoservers/protocol";
import type { Identity } from "@xenoservers/sdk";
import type { Harness, ServerParty } from "./harness.ts";

export const STAKE = 1_000_000_000n;
export const FUEL = 10_000_000_000n;
export const DIGEST = "00".repeat(32);

export async function stakedServer(h: Harness, over: Partial<Payload<"offer">> = {}): Promise<ServerParty> {
  const made = await h.server({ assurances: ["isolated", "replicated"], ...over });
  const { party, signer } = made.owner;
  const amountNanos = STAKE.toString();
  await h.act(h.operator, "credit", { party, amountNanos, source: "operator", reference: "", clientId: h.id() });
  await h.act(signer, "stake", { party, amountNanos, direction: "deposit", clientId: h.id() });
  return made;
}

export interface Ended {
  id: string;
  document: SignedDocument<"result">;
}

/** Hands in this result of an open lease. */
export async function handIn(h: Harness, on: ServerParty, id: string, over: Partial<Payload<"result">> = {}) {
  const row = await h.lease(id);
  const document = h.sign(on.signer, "result", {
    ...{ lease: id, server: on.id, jobHash: row.jobHash, engine: "e", incarnation: 1, reason: "completed", exitCode: 0, usedMs: 0 },
    ...{
      egressBytes: 0,
      fuelMax: row.fuelMax,
      lastClaim: row.lastClaim?.id ?? row.openingId ?? "",
      fuel: FUEL.toString(),
      memoryHash: DIGEST,
    },
    ...{ outputDigest: DIGEST, stdoutDigest: DIGEST, stderrDigest: DIGEST, stateRoot: row.segment ? DIGEST : null },
    ...{ nonce: DIGEST, detail: "" },
    ...over,
  });
  expect((await h.submit(document)).code).toBeUndefined();
  return document;
}

/** The same, whose bytes are delivered. */
export async function finish(h: Harness, by: Identity, on: ServerParty, id: string, over: Partial<Payload<"result">> = {}): Promise<Ended> {
  const document = await handIn(h, on, id, over);
  await h.act(by.signer, "delivery", { lease: id, result: document.id, sealed: null });
  return { id, document };
}

/** So many right audits stand in its owner's record. */
export async function known(h: Harness, { owner: { party } }: ServerParty, audited: number): Promise<void> {
  const row = (await h.store.load("party", [party])).get(party);
  if (!row) throw new Error(`${party} is no party`);
  const data = { ...row.data, record: { ...row.data.record, audited } };
  const change = { id: h.id(), answer: {}, uniques: [], floors: [], transfers: [], documents: [], events: [] };
  await h.store.commit([{ ...change, puts: [{ kind: "party", id: party, expect: row.version, data }] }]);
}

/** An order for just that server; the answer, or the refusal. */
export const orderOn = (h: Harness, by: Identity, on: ServerParty, over: Partial<Payload<"order">> = {}) =>
  h.submit(h.order(by, { terms: "on-result", conditions: [{ key: "server", op: "=", value: on.id }], ...over }));

/** So much time goes by in which that server, where nothing runs yet, claims as it should of each of its leases. */
export async function claiming(h: Harness, on: ServerParty, ids: string | readonly string[], ms: number): Promise<void> {
  const leases = [ids].flat();
  const { claimIntervalMs } = (await h.lease(leases[0]!)).timings;
  for (let left = ms; left > 0; left -= claimIntervalMs) {
    await h.pass(Math.min(left, claimIntervalMs));
    if (left <= claimIntervalMs) return;
    for (const lease of leases) {
      const { lastClaim, openingId } = await h.lease(lease);
      const last = lastClaim ?? { id: openingId ?? "", sequence: 0 };
      const of = { lease, incarnation: 1, sequence: last.sequence + 1, usedMs: 0, egressBytes: 0, previous: last.id };
      expect((await h.act(on.signer, "claim", of)).code).toBeUndefined();
    }
  }
}

/** A lease on that server, open for so long when it ends. */
export async function ended(
  h: Harness,
  by: Identity,
  on: ServerParty,
  order: Partial<Payload<"order">>,
  over: Partial<Payload<"result">> = {},
  afterMs = 1_000,
): Promise<Ended> {
  const id = (await orderOn(h, by, on, order))["lease"] as string;
  await h.accept(on, id);
  await claiming(h, on, id, afterMs);
  return finish(h, by, on, id, over);
}
