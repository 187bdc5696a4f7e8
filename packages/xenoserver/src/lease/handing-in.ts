/**
 * From a guest's end to the settlement: the result is signed and saved, shown to the customer, delivered or sealed, and handed in; of a
 * replica it is committed to first, and shown once every replica has. Who controls the inputs: the broker (answers), the customer (its
 * word).
 */
import { bindsReplica, runsAlike, step } from "@xenoservers/market";
import { toHex, type Envelope } from "@xenoservers/protocol";
import type { LinkAnswer } from "@xenoservers/protocol/link";
import { parseFact } from "@xenoservers/verify";
import type { RunningGuest } from "../drivers/driver.ts";
import type { Claims } from "./claims.ts";
import { BytesGone, CustomersWord, bytesOf } from "./delivery.ts";
import type { SignedResult } from "./journal.ts";
import type { LeaseContext } from "./lease-context.ts";
import { factWorld } from "./lease-facts.ts";
import { handedBack, type GuestEnd } from "./guest-end.ts";
import { signCommitment, signResult } from "./manifest.ts";
import { filedBy, surely } from "./submitting.ts";

interface HandingInHost {
  guest(): RunningGuest | null;
  /** The same, once it was looked for. */
  found(): Promise<RunningGuest | null>;
  claims: Pick<Claims, "settled">;
  /** The result may be seen: it is sent on every channel. */
  show(): void;
  isAttached(): boolean;
}

/** After the last moment for a delivery: until then the broker says by itself what became of it. */
const SETTLED_WITHIN_MS = 5_000;
const CATCH_UPS_MAX = 3;
const TOO_EARLY_WAIT_MS = 1_000;
const TOO_EARLY_MAX = 60;

export class HandingIn {
  readonly #ctx: LeaseContext;
  readonly #host: HandingInHost;
  readonly #word: CustomersWord;

  constructor(ctx: LeaseContext, host: HandingInHost) {
    this.#ctx = ctx;
    this.#host = host;
    this.#word = new CustomersWord(ctx);
  }

  /** Signs the result of a lease that is ending. What is signed is saved before anybody sees it. */
  async sign(ended: GuestEnd): Promise<void> {
    const { record, order } = this.#ctx;
    const [stdout, stderr] = [await this.#streamDigest("stdout"), await this.#streamDigest("stderr")];
    const sizes = { stdoutSize: stdout.size, stderrSize: stderr.size };
    const end = runsAlike(order.driver, order.assurance) ? handedBack(ended, sizes) : ended;
    await this.#host.claims.settled();
    if (this.#ctx.stage().is !== "ending") return;
    const document = signResult(this.#ctx, end, { stdoutDigest: stdout.digest, stderrDigest: stderr.digest });
    const { usedMs } = document.payload;
    const { tree } = end;
    record.result = { id: document.id, envelope: document.envelope, usedMs, tree, ...sizes };
    if (bindsReplica(this.#ctx.facts.lease, document.payload)) record.commitment = signCommitment(this.#ctx, document).envelope;
    await this.#ctx.save();
    if (this.#ctx.move({ t: record.commitment ? "committed" : "signed" })) await this.goOn();
  }

  async #streamDigest(stream: "stdout" | "stderr"): Promise<{ digest: string; size: number }> {
    const guest = this.#host.guest();
    const parts: Uint8Array[] = [];
    let size = 0;
    for (let bytes = await guest?.readStream(stream, 0); bytes && bytes.length > 0; bytes = await guest?.readStream(stream, size)) {
      parts.push(bytes);
      size += bytes.length;
    }
    return { digest: toHex(this.#ctx.world.crypto.sha256(Buffer.concat(parts))), size };
  }

  /** Does what the stage asks for; also where an earlier daemon stopped. */
  async goOn(): Promise<void> {
    const { record } = this.#ctx;
    const { is } = this.#ctx.stage();
    if (is === "committed" && record.commitment) await this.#commit(record.commitment);
    if (is === "ended" && record.result) await this.#handIn(record.result);
  }

  async #commit(commitment: Envelope): Promise<void> {
    const answer = await surely(this.#ctx, () => this.#ctx.world.submit(commitment));
    if (answer.ok) await this.#ctx.took(filedBy([commitment], answer.answer));
    else await this.#ctx.over(`the commitment was refused: ${answer.code}`);
  }

  /** Every replica has committed: the result may be shown. */
  async revealed(): Promise<void> {
    if (this.#ctx.move({ t: "revealed" })) await this.goOn();
  }

  async #handIn(result: SignedResult): Promise<void> {
    const { record } = this.#ctx;
    this.#host.show();
    const waits = this.#waitsForBytes(result);
    if (waits && this.#host.isAttached()) record.delivery ??= await this.#word.wait();
    const delivery = waits ? record.delivery : null;
    if (delivery) await this.#ctx.save();
    if (this.#ctx.stage().is !== "ended") return;
    const answer = await this.#submit(result.envelope, delivery);
    if (!answer.ok) return this.#ctx.over(`the result was refused: ${answer.code}`);
    const delivered = delivery !== null && answer.answer["closing"] !== undefined;
    // before anybody hears that it is over: what waits for the delivery waits from here on
    if (answer.answer["closing"] === undefined) this.#ctx.move({ t: "handed-in" });
    await this.#ctx.took(filedBy(delivered ? [result.envelope, delivery] : [result.envelope], answer.answer));
    if (this.#ctx.stage().is === "delivering") await this.#deliver(result);
    else await this.#ctx.over("handed in");
  }

  /** Until the broker has decided; a customer's last moment may be later by its clock than by this one. */
  async #submit(result: Envelope, delivery: Envelope | null): Promise<LinkAnswer> {
    const { world } = this.#ctx;
    for (let early = 0; ; early++) {
      const answer = await surely(this.#ctx, () => world.submit(result, delivery ?? undefined));
      if (answer.ok || answer.code !== "too_early" || early >= TOO_EARLY_MAX) return answer;
      const { startBy } = answer.facts;
      const left = typeof startBy === "number" ? startBy - world.timers.now() : 0;
      await this.#ctx.sleep(Math.max(TOO_EARLY_WAIT_MS, left));
    }
  }

  /** Whether the lease, with this result, will wait for its bytes to be delivered: the fold's own word. */
  #waitsForBytes({ envelope }: SignedResult): boolean {
    const { world, record, facts } = this.#ctx;
    const at = Math.max(world.timers.now(), facts.lease.toldAt);
    const fact = parseFact(factWorld(world, record.grants), envelope, at);
    const next = fact?.ok ? step(facts.lease, fact.fact) : null;
    return next?.ok === true && next.lease.state === "delivering";
  }

  // --- delivery -------------------------------------------------------------------------------------------------------------------------

  progress(): void {
    this.#word.progress();
  }

  /** The customer's word; what is wrong with it, in words, or null. */
  async delivered(untrusted: Envelope): Promise<string | null> {
    const { record, facts } = this.#ctx;
    const word = facts.customersWord(untrusted);
    if (!word) return "it is not this lease's customer's word for this result";
    const known = record.delivery !== null;
    record.delivery ??= word.envelope;
    this.#word.said(record.delivery);
    if (!known && this.#ctx.stage().is === "delivering") this.#ctx.apart(this.#handInWord(record.delivery));
    return null;
  }

  async #handInWord(delivery: Envelope): Promise<void> {
    await this.#ctx.save();
    const answer = await surely(this.#ctx, () => this.#ctx.world.submit(delivery));
    if (answer.ok) await this.#ctx.took(filedBy([delivery], answer.answer));
    else this.#ctx.log("the customer's word was refused", { code: answer.code });
  }

  /** The broker has the result alone: its bytes are sealed, unless the customer's word comes first. */
  async #deliver(result: SignedResult): Promise<void> {
    const { facts, record } = this.#ctx;
    this.#ctx.apart(this.#settledAfter(facts.lease.timings.deliverWithinMs));
    if (record.delivery) return this.#handInWord(record.delivery);
    await this.#seal(result);
  }

  async #seal(result: SignedResult): Promise<void> {
    const { world, record, order } = this.#ctx;
    const { lease } = record;
    // the customer's word may come in between
    const asked = (ask: () => Promise<LinkAnswer>): Promise<LinkAnswer> =>
      surely(this.#ctx, async () => (this.#ctx.stage().is === "delivering" ? ask() : { ok: true, answer: {} }));
    let parts = 0;
    try {
      const bytes = bytesOf(await this.#host.found(), result);
      for await (const part of world.encrypt(order.channelKey, { lease, result: result.id }, result, bytes)) {
        const kept = await asked(() => world.sealPart(lease, parts, part));
        if (!kept.ok) return this.#ctx.log("the sealed result was refused", { code: kept.code, part: parts });
        parts++;
      }
    } catch (error) {
      if (error instanceof BytesGone) return this.#ctx.log("the result could not be sealed", { why: error.message });
      throw error;
    }
    if (parts === 0) return this.#ctx.log("the result could not be sealed", { why: "the order's channel key is none" });
    const answer = await asked(() => world.sealed(lease, parts));
    if (!answer.ok) return this.#ctx.log("the sealed result was refused", { code: answer.code });
    await this.#ctx.took(filedBy([], answer.answer));
  }

  /** What the broker said meanwhile may have been lost on the way. */
  async #settledAfter(ms: number): Promise<void> {
    await this.#ctx.sleep(ms);
    for (let tries = 0; tries < CATCH_UPS_MAX; tries++) {
      await this.#ctx.sleep(SETTLED_WITHIN_MS);
      if (this.#ctx.stage().is !== "delivering") return;
      await this.#ctx.catchUp();
    }
    if (this.#ctx.stage().is === "delivering") await this.#ctx.over("the broker does not say what became of its delivery");
  }

  stop(): void {
    this.#word.stop();
  }
}
