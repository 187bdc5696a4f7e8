/** A simulated customer: production SDK over the simulated network. It orders, stops, vanishes, loses its key, refuses to say that it has its bytes. */
import { ROLE_SCOPES } from "@xenoservers/market";
import type { Network, Random, SimClock } from "@xenoservers/testkit";
import { API, refuse, type Crypto, type Envelope, type RouteName, type RouteReply, type SignedDocument } from "@xenoservers/protocol";
import type { LinkAnswer, LinkClient, Pipe, Timers } from "@xenoservers/protocol/link";
import {
  LeaseSession,
  MarketClient,
  NotDelivered,
  RefusedError,
  buildJob,
  bytesBlob,
  checkBound,
  identityOf,
  openLink,
  signOrder,
  untilBound,
  type BoundOrder,
  type BuiltJob,
  type Identity,
  type ReadName,
  type Wanted,
} from "@xenoservers/sdk";
import type { SimBroker } from "./broker.ts";
import { doubt } from "./doubt.ts";

export interface SimCustomerOptions {
  broker: SimBroker;
  clock: SimClock;
  network: Network;
  random: Random;
  crypto: Crypto;
  /** Servers that jobs with an assurance are ordered on by name. */
  serverIds: readonly string[];
  trace(line: string): void;
}

interface Placed {
  purchaseOrder: unknown;
  replicas?: { purchaseOrder: unknown }[];
  grants: unknown[];
}

interface SimParts {
  broker: SimBroker;
  crypto: Crypto;
  timers: Timers;
  via(): Promise<Pipe>;
}

/** The production client, whose broker is asked over the simulated network. */
export class SimClient extends MarketClient {
  readonly #parts: SimParts;
  override readonly crypto: Crypto;
  override readonly timers: Timers;
  viaLink: LinkClient | null = null;

  constructor(parts: SimParts, identity: Identity) {
    super("sim:", parts.broker.pins, identity);
    this.#parts = parts;
    this.crypto = parts.crypto;
    this.timers = parts.timers;
  }

  override connect(): Promise<Pipe> {
    return this.#parts.via();
  }

  override submit(envelope: Envelope): Promise<LinkAnswer> {
    return this.viaLink?.submit(envelope) ?? Promise.resolve(refuse("unavailable"));
  }

  override async read<N extends ReadName>(name: N, request: object = {}): Promise<RouteReply<N>> {
    const answer = await this.#ask(name, request);
    return API[name].reply.parse(answer) as RouteReply<N>;
  }

  override async readBytes(name: RouteName, request: object): Promise<Uint8Array> {
    const answer = await this.#ask(name, request);
    return answer instanceof Uint8Array ? answer : new Uint8Array(0);
  }

  async #ask(name: RouteName, request: object): Promise<unknown> {
    const { reads, store } = this.#parts.broker;
    const { publicKey } = this.identity.signer;
    const key = (await store.load("key", [publicKey])).get(publicKey)?.data;
    const handler: unknown = reads && Reflect.get(reads, name);
    if (typeof handler !== "function" || !key) throw new RefusedError(refuse("unavailable"));
    const route = API[name];
    const query = "query" in route ? route.query.parse({ ...Reflect.get(request, "query") }) : {};
    const session = { by: "party", party: this.identity.party, key };
    const answer: { ok: true; reply: unknown } | ({ ok: false } & RefusedError["refusal"]) = await handler({
      session,
      params: {},
      body: undefined,
      ...request,
      query,
    });
    if (!answer.ok) throw new RefusedError(answer);
    return answer.reply;
  }
}

type JobKind = "run" | "fail" | "refuse";

export function jobOf({ random, clock }: Pick<SimCustomerOptions, "random" | "clock">, kind: JobKind, assured: boolean): BuiltJob {
  return buildJob({
    module: bytesBlob(random.bytes(200)),
    args: [kind, String(random.between(0, assured ? 6_000 : 90_000)), String(random.between(0, 3)), "x".repeat(random.between(0, 50))],
    ...{ env: [], mounts: [], stdin: bytesBlob(new Uint8Array()), engine: "sim-1", memoryMibMax: 64, diskMibMax: 64, outputMibMax: 1 },
    ...{ fuelMax: 10n ** 15n, seed: random.bytes(32), clockBaseMs: clock.now() },
  });
}

function wantedOf({ random, serverIds }: SimCustomerOptions, job: BuiltJob, assured: boolean, replicas: number): Wanted {
  return {
    resources: { vcpu: random.between(1, 2), memoryMib: 256, diskMib: 64 },
    conditions: assured && replicas === 1 ? [{ key: "server", op: "=", value: random.pick(serverIds) }] : [],
    terms: assured ? "on-result" : random.pick(["on-result", "by-interval"] as const),
    assurance: assured ? "replicated" : "isolated",
    ...{ on: "market", maxPriceNanosPerHour: null, durationMsMax: random.between(1_000, 120_000), fuelMax: BigInt(job.spec.fuelMax) },
    ...{ budgetNanos: BigInt(random.between(1, assured ? 20_000_000 : 200_000)), label: "", replicas },
  };
}

const JOBS = 3;
const AGAIN_AFTER_MS = 5_000;

export class SimCustomer {
  readonly host: string;
  readonly sessions: LeaseSession[] = [];
  readonly #options: SimCustomerOptions;
  readonly #root: Identity;
  readonly #client: SimClient;
  readonly #link: LinkClient;
  readonly #own: LeaseSession[] = [];

  private constructor(host: string, root: Identity, device: Identity, options: SimCustomerOptions) {
    const { broker, crypto, clock, network } = options;
    this.host = host;
    this.#options = options;
    this.#root = root;
    this.#client = new SimClient({ broker, crypto, timers: clock, via: () => network.connect(host) }, device);
    this.#link = openLink(this.#client, {
      onUp: () => this.#own.forEach((session) => session.hint()),
      onEvent: (event) => this.#own.forEach((session) => session.hint(event)),
    });
    this.#client.viaLink = this.#link;
  }

  /** It works with a key of its own, which its root key granted and may revoke. */
  static async join(i: number, options: SimCustomerOptions): Promise<SimCustomer> {
    const { broker, random, clock } = options;
    const root = await broker.party(`customer ${i}`, 1_000_000_000n);
    const device = identityOf(random.bytes(32), { party: root.party, account: root.account, scopes: ROLE_SCOPES.device });
    await broker.must(root.signer, "key-grant", {
      ...{ party: root.party, key: device.signer.publicKey, role: "device", label: "d", scopes: [...ROLE_SCOPES.device], account: null },
      ...{ leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null },
    });
    const customer = new SimCustomer(`customer ${i}`, root, device, options);
    for (let j = 0; j < JOBS; j++) clock.after(random.between(500, 120_000), () => void customer.#order());
    return customer;
  }

  /** Its key is stolen and revoked: what it began goes on without it. */
  revoke(): void {
    const { party, signer } = this.#root;
    void this.#options.broker.act(signer, "key-revoke", { party, key: this.#client.identity.signer.publicKey, reason: "stolen" });
  }

  async #order(): Promise<void> {
    const { random, trace, clock } = this.#options;
    // a broker that is away is asked again, as a person would
    const market = await this.#client.market(true).catch(() => null);
    if (!market) return void clock.after(AGAIN_AFTER_MS, () => void this.#order());
    const kind: JobKind = random.chance(0.1) ? "fail" : random.chance(0.05) ? "refuse" : "run";
    const replicas = random.chance(0.25) ? 2 : 1;
    const assured = replicas > 1 || random.chance(0.3);
    const job = jobOf(this.#options, kind, assured);
    const wanted = wantedOf(this.#options, job, assured, replicas);
    const document = signOrder(this.#client, market, wanted, job.jobHash);
    const waits = replicas === 1 && random.chance(0.5);
    const answer = await this.#link.submit(document.envelope, undefined, waits);
    const isWaiting = answer.ok && "waiting" in answer.answer;
    trace(`order ${kind}${replicas > 1 ? ", two replicas" : ""}: ${isWaiting ? "waits" : answer.ok ? "bound" : answer.code}`);
    if (!answer.ok) return;
    const bound = isWaiting ? await this.#wait(document) : this.#boundBy(document, answer.answer as unknown as Placed);
    if (bound.length === 0) return;
    if (random.chance(0.1)) return; // a customer who vanishes before a byte was sent
    // one in ten takes what it gets and never says so: then the server seals
    const withholds = random.chance(0.1);
    const handlers = withholds ? { onResult: () => Promise.reject(new NotDelivered("withheld")) } : {};
    const mine = bound.map((each) => new LeaseSession(this.#client, each, job, handlers, this.#link));
    this.#own.push(...mine);
    this.sessions.push(...mine);
    if (assured) void doubt(this.#client, mine, document.payload, job, trace);
    this.#interfere(random.pick(mine));
  }

  #boundBy(document: SignedDocument<"order">, { purchaseOrder, replicas, grants }: Placed): BoundOrder[] {
    return (replicas ?? [{ purchaseOrder }]).map((slot) =>
      checkBound(this.#client, document, slot.purchaseOrder, grants, this.#client.brokerNow()),
    );
  }

  /** Until its order has come to a lease or to nothing; some are given up. */
  async #wait(document: SignedDocument<"order">): Promise<BoundOrder[]> {
    const { random, clock, trace } = this.#options;
    const left = new AbortController();
    if (random.chance(0.3)) clock.after(random.between(1_000, 60_000), () => left.abort());
    try {
      const bound = await untilBound(this.#client, document, { signal: left.signal });
      trace("a waiting order: bound");
      return [bound];
    } catch (error) {
      trace(`a waiting order: ${error instanceof RefusedError ? error.refusal.code : String(error)}`);
      return [];
    }
  }

  #interfere(session: LeaseSession): void {
    const { random, clock } = this.#options;
    const { party } = this.#client.identity;
    const stop = (): void => void this.#link.submit(this.#client.sign("stop", { lease: session.lease, party, reason: "" }).envelope);
    if (random.chance(0.25)) clock.after(random.between(1_000, 60_000), stop);
    if (random.chance(0.2)) clock.after(random.between(1_000, 60_000), () => session.close());
  }
}
