/** A customer's client whose broker is a table of answers: what it reads and what is said to what it submits; nothing goes over a network. */
import { refuse, type Envelope, type RouteReply } from "@xenoservers/protocol";
import type { LinkAnswer, Pipe, Timers } from "@xenoservers/protocol/link";
import { MarketClient, RefusedError, identityOf, type ReadName } from "@xenoservers/sdk";
import { parseDocument, type AnyDocument } from "@xenoservers/protocol";
import type { PaperMarket } from "@xenoservers/testkit";

export type Answers = {
  [N in ReadName]?: (request: { params?: Record<string, string>; query?: Record<string, unknown> }) => RouteReply<N>;
};

export class PaperClient extends MarketClient {
  override readonly timers: Timers;
  answers: Answers = {};
  bytes: (name: string) => Uint8Array = () => {
    throw new RefusedError(refuse("not_found"));
  };
  /** What was submitted, in order. */
  readonly submitted: AnyDocument[] = [];
  onSubmit: (document: AnyDocument) => LinkAnswer = () => ({ ok: true, answer: {} });

  constructor(market: PaperMarket, timers: Timers, seed: Uint8Array) {
    super("paper:", market.pins, identityOf(seed));
    this.timers = timers;
    this.answers.market = () => market.info;
  }

  override async submit(envelope: Envelope): Promise<LinkAnswer> {
    const parsed = parseDocument(this.crypto, envelope);
    if (!parsed.ok) return parsed;
    this.submitted.push(parsed.document);
    return this.onSubmit(parsed.document);
  }

  override async read<N extends ReadName>(name: N, request: object = {}): Promise<RouteReply<N>> {
    const answer = this.answers[name];
    if (!answer) throw new RefusedError(refuse("unavailable"));
    return answer(request);
  }

  override async readBytes(name: string): Promise<Uint8Array> {
    return this.bytes(name);
  }

  override connect(): Promise<Pipe> {
    return Promise.reject(new Error("there is no network on paper"));
  }

  kinds(): string[] {
    return this.submitted.map(({ kind }) => kind);
  }
}
