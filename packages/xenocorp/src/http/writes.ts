/**
 * The routes that hand something in: signed documents, logins, cosignatures, sealed results. Who controls the inputs: anyone, every byte;
 * documents speak for themselves, by their signatures. Bounds: the size of sealed bytes by lease and all together, and how long they are
 * kept.
 */
import { API, SEALED_PART_BYTES_MAX, refusalBody, refuse, sealedDigestOf, toHex, type Refusal } from "@xenoservers/protocol";
import type { z } from "zod";
import type { Answer } from "../desk/desk.ts";
import type { Services } from "../desk/round.ts";
import { acceptCosignature } from "../log/cosigned.ts";
import { done, type Handled, type Handlers, type Request, type Upload } from "./handlers.ts";
import { briefOf } from "../store/brief.ts";
import type { LeaseRow } from "../store/store.ts";
import type { Sessions } from "./sessions.ts";

/** How much longer than its dispute window a sealed result is kept. */
const KEPT_AFTER_WINDOW_MS = 24 * 3_600_000;

/** What the routes need of the desk. */
export interface DeskDoor {
  readonly services: Services;
  submit(envelope: unknown, delivery?: unknown, waits?: boolean): Promise<Answer>;
  sealed(lease: string, digest: string): Promise<Answer>;
}

type Writes = Pick<Handlers, "submit" | "submitMany" | "challenge" | "token" | "cosign" | "sealPart" | "sealResult">;
type Answered = Extract<Answer, { ok: true }>["answer"];

/** Every answer of the desk names the document and its time. */
function answerOf({ answer }: { answer: Answered }) {
  const { id, at, ...more } = answer;
  return { ...more, id: String(id), at: Number(at) };
}

type Kept = { ok: true; digest: string } | Refusal;

/** Takes a part of the bytes of a lease that waits for its delivery. The first stay. */
async function keep({ store, crypto, config, now }: Services, lease: LeaseRow, part: number, body: Upload): Promise<Kept> {
  const { id, owner, state, timings } = lease;
  if (state !== "delivering") return refuse("wrong_state", { lease: id, state });
  const upload = await body.read(SEALED_PART_BYTES_MAX);
  if (!upload.ok) return upload;
  const { bytes } = upload;
  if (bytes.length === 0) return refuse("bad_request", { path: "body", why: "there are no bytes" });
  const at = now();
  const until = at + timings.disputeWindowMs + KEPT_AFTER_WINDOW_MS;
  const row = { lease: id, part, owner, bytes, digest: toHex(crypto.sha256(bytes)), at, until };
  const digest = await store.putSealed(row, config.sealedBytesMax);
  if (digest === null)
    return refuse("limit_reached", {
      bytesMax: config.sealedBytesMax,
      why: "the broker keeps no more sealed results now, or of this owner",
    });
  return { ok: true, digest };
}

/** What was answered when the bytes of this lease first lay here; null where it was not settled by them. */
async function earlierAnswer({ store }: Services, lease: string): Promise<z.infer<typeof API.sealResult.reply> | null> {
  const delivery = (await briefOf(store, lease)).find(({ kind }) => kind === "delivery");
  const earlier = API.sealResult.reply.safeParse(delivery ? await store.answerTo(delivery.id) : null);
  return earlier.success ? earlier.data : null;
}

/** The lease, where it runs on the server that asks. */
async function leaseOf({ store }: Services, { session, params }: Request<"sealPart" | "sealResult">): Promise<LeaseRow | null> {
  const lease = (await store.load("lease", [params.id])).get(params.id)?.data;
  return lease && lease.serverKey === session.key.id ? lease : null;
}

/** A server hands in a part of a result's bytes, sealed for its customer. */
async function sealPart({ services }: DeskDoor, request: Request<"sealPart">): Promise<Handled<"sealPart">> {
  const { params, body } = request;
  const lease = await leaseOf(services, request);
  if (!lease) return refuse("not_found", { lease: params.id });
  const known = (await services.store.sealedDigests(lease.id))[params.part];
  const kept: Kept = known === undefined ? await keep(services, lease, params.part, body) : { ok: true, digest: known };
  return kept.ok ? done({ digest: kept.digest }) : kept;
}

/** All parts are here: the broker says so in its own document. */
async function sealResult(desk: DeskDoor, request: Request<"sealResult">): Promise<Handled<"sealResult">> {
  const { services } = desk;
  const { params, body } = request;
  const lease = await leaseOf(services, request);
  if (!lease) return refuse("not_found", { lease: params.id });
  const digests = await services.store.sealedDigests(lease.id);
  const isWaiting = lease.state === "delivering";
  if (isWaiting && digests.length !== body.parts) return refuse("conflict", { parts: body.parts, kept: digests.length });
  const answer = await desk.sealed(lease.id, sealedDigestOf(services.crypto, digests));
  if (answer.ok) return done(answerOf(answer));
  const earlier = answer.code === "wrong_state" ? await earlierAnswer(services, lease.id) : null;
  return earlier ? done(earlier) : answer;
}

export function createWrites(desk: DeskDoor, sessions: Sessions): Writes {
  return {
    async submit({ body }) {
      const answer = await desk.submit(body.envelope, undefined, body.waits);
      return answer.ok ? done(answerOf(answer)) : answer;
    },
    async submitMany({ body }) {
      const answers = await Promise.all(body.envelopes.map((envelope) => desk.submit(envelope)));
      return done({ answers: answers.map((answer) => (answer.ok ? answer.answer : refusalBody(answer))) });
    },
    async challenge() {
      return done({ challenge: sessions.challenge() });
    },
    async token({ body }) {
      const login = await sessions.login(body.login);
      return login.ok ? done({ ...sessions.token(login.session), party: login.session.party }) : login;
    },
    async cosign({ body }) {
      const accepted = await acceptCosignature(desk.services, body.note);
      return "code" in accepted ? accepted : done(accepted);
    },
    sealPart: (request) => sealPart(desk, request),
    sealResult: (request) => sealResult(desk, request),
  };
}
