/** The links of a broker for this package's tests, to one server or several, over pipes in this process; what comes there is for others. */
import { refusalBody, parseDocument, type Envelope } from "@xenoservers/protocol";
import {
  DEFAULT_BEAT,
  channelMessage,
  parseChannelMessage,
  type LinkAnswer,
  type MarketInfo,
  type MeasuredClock,
  type Pipe,
  type Timers,
} from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { z } from "zod";
import { FakeParties } from "./fake-parties.ts";

/** Whose link is meant where nobody is named. */
const THE_SERVER = "server";

export type Filed = { envelope: Envelope; at: number };
const zSubmit = z.object({ t: z.literal("submit"), ref: z.int(), envelope: z.unknown(), delivery: z.unknown().optional() });

export abstract class FakeLink extends FakeParties {
  readonly timers: Timers;
  abstract info: MarketInfo;
  /** What a submission is answered where that comes later, or never. */
  abstract readonly LATER: LinkAnswer;
  /** The server's, as it is told at its next login. */
  clock: MeasuredClock | null = null;
  /** What a link that comes up is told of. */
  live: Filed[] = [];
  /** By who is at the other end. */
  readonly #links = new Map<string, (message: string | Uint8Array) => void>();
  #isAway = false;
  readonly #cuts = new Map<string, () => void>();
  readonly #refs = new Map<string, number>();
  readonly #channels = new Map<string, (bytes: Uint8Array) => void>();
  #sessions = 0;

  constructor(timers: Timers) {
    super();
    this.timers = timers;
  }

  abstract submit(envelope: unknown, delivery?: unknown): LinkAnswer;

  /** Nobody hears it, and it hears nobody, until it is back. */
  goAway(): void {
    this.#isAway = true;
    for (const cut of this.#cuts.values()) cut();
  }

  comeBack(): void {
    this.#isAway = false;
  }

  connect = (): Promise<Pipe> => this.#connect(THE_SERVER);

  /** For another server beside the first. */
  connectAs = (name: string) => (): Promise<Pipe> => this.#connect(name);

  async #connect(name: string): Promise<Pipe> {
    if (this.#isAway) throw new Error("nobody listens there");
    let deliver: (message: string | Uint8Array) => void = () => {};
    const toServer = (message: string | Uint8Array): void => void this.timers.after(1, () => deliver(message));
    this.#links.set(name, toServer);
    const challenge = { t: "challenge", challenge: "00".repeat(32), market: { ...this.info, now: this.timers.now() }, beat: DEFAULT_BEAT };
    toServer(JSON.stringify(challenge));
    return {
      send: (message) => void this.timers.after(1, () => (this.#isAway ? undefined : this.#receive(name, message))),
      close: () => {},
      onMessage: (handler) => (deliver = handler),
      onClose: (handler) => void this.#cuts.set(name, handler),
    };
  }

  #send(message: object, to = THE_SERVER): void {
    this.#links.get(to)?.(JSON.stringify(message));
  }

  #receive(from: string, message: string | Uint8Array): void {
    if (typeof message !== "string") {
      const parsed = parseChannelMessage(message);
      if (parsed) this.#channels.get(parsed.session)?.(parsed.bytes);
      return;
    }
    const value: unknown = JSON.parse(message);
    if (message.includes('"t":"hello"'))
      this.#send({ t: "welcome", party: this.owner.party, live: { grants: this.grants, filed: this.live }, clock: this.clock }, from);
    if (message.includes('"t":"ping"')) this.#send({ t: "pong", now: this.timers.now() - (this.clock?.offsetMs ?? 0) }, from);
    const submit = zSubmit.safeParse(value);
    if (!submit.success) return;
    const { ref, envelope, delivery } = submit.data;
    const answer = this.submit(envelope, delivery);
    const parsed = parseDocument(nodeCrypto, envelope);
    if (parsed.ok) this.#refs.set(parsed.document.id, ref);
    if (answer !== this.LATER) this.#reply(ref, answer, from);
  }

  /** Answers what `instead` put off. */
  answerLate(document: string, answer: LinkAnswer): void {
    this.#reply(this.#refs.get(document) ?? 0, answer);
  }

  #reply(ref: number, answer: LinkAnswer, to = THE_SERVER): void {
    this.#send(answer.ok ? { t: "answer", ref, answer: answer.answer } : { t: "answer", ref, error: refusalBody(answer).error }, to);
  }

  push(filed: readonly Filed[], grants: Envelope[] = this.grants): void {
    for (const name of this.#links.keys()) this.#send({ t: "documents", documents: { grants, filed } }, name);
  }

  /** The customer's end of a channel to the server. */
  openChannel(lease: string): Pipe {
    const session = (++this.#sessions).toString(16).padStart(32, "0");
    let receive: (bytes: Uint8Array) => void = () => {};
    let closed: () => void = () => {};
    this.#channels.set(session, (bytes) => receive(bytes));
    this.#send({ t: "channel-open", lease, session });
    return {
      send: (bytes) => void (typeof bytes !== "string" && this.#links.get(THE_SERVER)?.(channelMessage(session, bytes))),
      close: () => {
        this.#send({ t: "channel-close", session, why: "" });
        closed();
      },
      onMessage: (handler) => (receive = handler),
      onClose: (handler) => (closed = handler),
    };
  }
}
