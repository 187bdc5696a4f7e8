/**
 * The room that a case is played in: a production desk on the in-memory store, a clock set by hand, and everybody's keys. Whatever anyone
 * says goes through `say`, where one document may be made a lie, and through `hand`, which remembers what became of it.
 */
import { ROLE_SCOPES, moneyKey } from "@xenoservers/market";
import {
  serverIdOf,
  signDocument,
  toHex,
  utf8,
  type Crypto,
  type Envelope,
  type Kind,
  type MarketPins,
  type Payload,
  type Receipt,
  type SignedDocument,
  type Signer,
} from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { identityOf, type Identity } from "@xenoservers/sdk";
import {
  Desk,
  LogView,
  MARKET_DEFAULTS,
  OfferIndex,
  WaitingOrders,
  createMemoryStore,
  createReads,
  describeMarket,
  sequence,
  startEpoch,
  type BrokerKeys,
  type Change,
  type LeaseRow,
  type Services,
  type Store,
} from "@xenoservers/xenocorp/parts";
import { cached } from "../../packages/verify/src/testing/cached.ts";
import { MACHINES, isReferee, type Actor, type ServerName } from "./actors.ts";
import { ENGINE } from "./jobs.ts";
import type { Lie } from "./lie.ts";
import type { Phase, Plan, ServerPlan, Silence } from "./plan.ts";

export type Own<K extends Kind> = Omit<Payload<K>, "origin" | "seen">;
export type Answer = Awaited<ReturnType<Desk["submit"]>>;

const tools = cached({ crypto: nodeCrypto, createSigner });
export const { crypto } = tools;
const seedOf = (name: string): Uint8Array => crypto.sha256(utf8(`court ${name}`));
const signerOf = (name: string): Signer => tools.createSigner(seedOf(name));

const ORIGIN = "court/market";
const START = 1_800_000_000_000;
/** More than any case can cost, and what each owner may lose by a lie. */
export const CREDIT = 10n ** 15n;
export const STAKE = 10n ** 14n;
/** So often that no silence of the broker is a gap: it says that it hears once in a second at most, and five make a gap. */
const HEARD_EVERY_MS = 3_900;

const AUDIT_ROUND_MS = 300_000;
/** What the owner of a server says of itself; the rest is its server's. */
const OWNERS_WORD: readonly Kind[] = ["stop", "objection", "order", "delivery", "appeal"];

const KEYS: BrokerKeys = {
  ...{ purchaseOrders: signerOf("orders"), checkpoints: signerOf("checkpoints"), receipts: signerOf("receipts"), secret: seedOf("secret") },
};
const OPERATOR = signerOf("operator");
export const MARKET: MarketPins = {
  origin: ORIGIN,
  keys: {
    purchaseOrders: KEYS.purchaseOrders.publicKey,
    checkpoints: KEYS.checkpoints.publicKey,
    receipts: KEYS.receipts.publicKey,
  },
  operatorKey: OPERATOR.publicKey,
};

export interface Machine {
  name: ServerName;
  owner: Identity;
  signer: Signer;
  id: string;
}

const identity = (name: string): Identity => ({ ...identityOf(seedOf(name)), signer: signerOf(name) });
const machine = (name: ServerName): Machine => {
  const signer = signerOf(name);
  return { name, owner: identity(`${name}'s owner`), signer, id: serverIdOf(crypto, signer.publicKey) };
};
const PEOPLE = { customer: identity("customer"), machines: MACHINES.map(machine) };

const everybody = [PEOPLE.customer, ...PEOPLE.machines.map(({ owner }) => owner), ...PEOPLE.machines].map(({ signer }) => signer);
const SIGNERS = new Map(
  [KEYS.purchaseOrders, KEYS.checkpoints, KEYS.receipts, OPERATOR, ...everybody].map((each) => [each.publicKey, each]),
);

export function signerOfKey(key: string): Signer {
  const found = SIGNERS.get(key);
  if (!found) throw new Error(`${key} is nobody's here`);
  return found;
}

/** One document that somebody said. */
export interface Said<K extends Kind = Kind> {
  by: Actor;
  kind: K;
  /** The how manieth of its kind that this one says. */
  nth: number;
  document: SignedDocument<K>;
  /** As it would have been; null where it is no lie. */
  honest: SignedDocument<K> | null;
}

/** What became of it. */
export interface Handed {
  said: Said;
  answer: Answer;
}

let everybodys: readonly Change[] | null = null;
const furnished = new WeakMap<Plan, { changes: readonly Change[]; ids: number }>();

export class Room {
  now = START;
  readonly plan: Plan;
  readonly lie: Lie | null;
  readonly customer = PEOPLE.customer;
  /** As many as the case needs, and one more to go to; the referees'. */
  readonly machines: readonly Machine[];
  readonly store: Store = createMemoryStore(() => this.now);
  readonly handed: Handed[] = [];
  /** Whatever an honest case must not meet, in words. */
  readonly problems: string[] = [];
  readonly leases: string[] = [];
  /** The referee that lies in this case by its plan. */
  falseReferee: ServerName | null = null;
  /** Of the customer's own job. */
  orderId = "";
  readonly #log = new LogView();
  /** Chance, alike for every play of a case. */
  readonly #crypto: Crypto = { ...crypto, randomBytes: (length) => seedOf(`random ${this.#random++}`).slice(0, length) };
  #random = 0;
  readonly #said = new Map<string, number>();
  #services: Services;
  #desk: Desk;
  #ids = 0;
  #idsOf = "everybody";

  private constructor(plan: Plan, lie: Lie | null) {
    this.plan = plan;
    this.lie = lie;
    this.machines = PEOPLE.machines.filter(({ name }, i) => isReferee(name) || i < plan.servers.length);
    [this.#services, this.#desk] = this.#broker();
  }

  static async open(plan: Plan, lie: Lie | null): Promise<Room> {
    const room = new Room(plan, lie);
    await startEpoch(room.#services, null, "court");
    await room.#furnish();
    await room.restart();
    return room;
  }

  #broker(store: Store = this.store): [Services, Desk] {
    const config = {
      ...MARKET_DEFAULTS,
      origin: ORIGIN,
      operatorKey: OPERATOR.publicKey,
      auditRoundMs: AUDIT_ROUND_MS,
      timings: this.plan.timings,
    };
    const services: Services = {
      ...{
        store,
        crypto: this.#crypto,
        keys: KEYS,
        config,
        market: MARKET,
        index: new OfferIndex(),
        waiting: new WaitingOrders(),
        log: this.#log,
      },
      now: () => this.now,
    };
    return [services, new Desk(services, { toServer: () => {}, event: () => {}, keyRevoked: () => {} })];
  }

  /** Another process on the same database. */
  async restart(): Promise<void> {
    [this.#services, this.#desk] = this.#broker();
    await this.#services.index.refresh(this.store, this.#services.now());
    for (const { id } of this.machines) this.#services.index.setOnline(id, true);
  }

  id(): string {
    return toHex(crypto.sha256(utf8(`id ${this.#idsOf} ${this.#ids++}`)));
  }

  clientId(): string {
    return this.id().slice(0, 32);
  }

  // --- what is so before the case begins ---------------------------------------------------------------------------------------------

  async #must<K extends Kind>(signer: Signer, kind: K, payload: Own<K>): Promise<void> {
    const answer = await this.#desk.submit(this.#sign(signer, kind, payload).envelope);
    if (!answer.ok) throw new Error(`${kind}: ${answer.code} ${JSON.stringify(answer.facts)}`);
  }

  async #party({ party, signer }: Identity, credit: bigint): Promise<void> {
    await this.#must(signer, "party", { party, name: "p", rootKey: signer.publicKey, recoveryKey: null });
    const given = { amountNanos: credit.toString(), source: "operator", reference: "", clientId: this.clientId() } as const;
    await this.#must(OPERATOR, "credit", { party, ...given });
  }

  /** What is so before every case, and before every play of one case, is made once. */
  async #furnish(): Promise<void> {
    const made = furnished.get(this.plan);
    if (made) {
      await this.store.commit(made.changes);
      [this.#ids, this.#idsOf] = [made.ids, this.plan.seed.toString()];
      return;
    }
    if (everybodys) await this.store.commit(everybodys);
    else everybodys = await this.#recorded(() => this.#everybody());
    [this.#ids, this.#idsOf] = [0, this.plan.seed.toString()];
    const own = await this.#recorded(() => this.#offers());
    furnished.set(this.plan, { changes: [...everybodys, ...own], ids: this.#ids });
  }

  async #recorded(bring: () => Promise<void>): Promise<readonly Change[]> {
    const changes: Change[] = [];
    const recording: Store = { ...this.store, commit: (some) => (changes.push(...some), this.store.commit(some)) };
    [, this.#desk] = this.#broker(recording);
    await bring();
    return changes;
  }

  /** The people, their money, and their servers' keys. */
  async #everybody(): Promise<void> {
    await this.#party(this.customer, CREDIT);
    for (const { owner, signer } of PEOPLE.machines) {
      const { party } = owner;
      await this.#party(owner, 2n * STAKE);
      await this.#must(owner.signer, "stake", { party, amountNanos: STAKE.toString(), direction: "deposit", clientId: this.clientId() });
      await this.#must(owner.signer, "key-grant", {
        ...{ party, key: signer.publicKey, role: "server", label: "m", scopes: [...ROLE_SCOPES.server], account: null, leaseLabel: null },
        ...{ maxSpendPerDayNanos: null, expiresAt: null },
      });
    }
  }

  async #offers(): Promise<void> {
    if (this.plan.feeBasisPoints > 0)
      await this.#must(OPERATOR, "fee", { basisPoints: this.plan.feeBasisPoints, effectiveAt: this.now, clientId: this.clientId() });
    for (const [i, { name, owner, signer, id }] of this.machines.entries()) {
      await this.#must(signer, "offer", this.#offer(owner, id, this.plan.servers[i] ?? this.plan.servers[0]));
      if (isReferee(name)) await this.#must(OPERATOR, "referee", { server: id, active: true, clientId: this.clientId() });
    }
  }

  #offer(owner: Identity, server: string, price: ServerPlan | undefined): Own<"offer"> {
    return {
      ...{ owner: owner.party, server, sequence: 1, validUntil: this.now + 86_400_000, resources: { vcpu: 4, memoryMib: 64, diskMib: 64 } },
      ...{ drivers: ["wasm"], assurances: ["isolated", "replicated"], labels: {}, maxLeaseMs: 3_600_000, cpuScore: 1, sandbox: "strong" },
      ...{
        accel: "none",
        vmScore: 0,
        limits: "process",
        holds: {},
        fetches: false,
        vmEngine: "",
        egress: "none",
        allowedParties: [],
        engine: "",
      },
      ...ENGINE,
      price: {
        vcpuNanosPerSecond: String(price?.vcpuNanosPerSecond ?? 0),
        ...{ memoryGibNanosPerSecond: "0", diskGibNanosPerSecond: "0", egressGibNanos: "0" },
        gigaFuelNanos: String(price?.gigaFuelNanos ?? 0),
      },
      ...{ feeBasisPointsMax: 1_000, timings: this.plan.timings, channelKey: toHex(owner.channelKey.publicKey) },
    };
  }

  machine(name: ServerName): Machine {
    const found = PEOPLE.machines.find((each) => each.name === name);
    if (!found) throw new Error(`there is no ${name}`);
    return found;
  }

  /** Whose lease it is: the customer's, or that of an owner who appeals. */
  customerOf({ customer }: Pick<LeaseRow, "customer">): { by: Actor; identity: Identity } {
    const owner = this.machines.find((each) => each.owner.party === customer);
    return owner ? { by: owner.name, identity: owner.owner } : { by: "customer", identity: this.customer };
  }

  /** Whose server a lease is on. */
  machineOf({ server }: Pick<LeaseRow, "server">): Machine {
    const found = this.machines.find(({ id }) => id === server);
    if (!found) throw new Error(`${server} is nobody's here`);
    return found;
  }

  // --- saying and handing in ---------------------------------------------------------------------------------------------------------

  #sign<K extends Kind>(signer: Signer, kind: K, payload: Own<K>): SignedDocument<K> {
    return signDocument(crypto, signer, kind, { origin: ORIGIN, seen: null, ...payload } as unknown as Payload<K>);
  }

  #signerOf(by: Actor, kind: Kind): Signer {
    if (by === "customer") return this.customer.signer;
    if (by === "operator") return OPERATOR;
    const { owner, signer } = this.machine(by);
    return OWNERS_WORD.includes(kind) ? owner.signer : signer;
  }

  /** Signs it, or the lie that this case has in its place. */
  say<K extends Kind>(by: Actor, kind: K, payload: Own<K>): Said<K> {
    const nth = this.#said.get(`${by} ${kind}`) ?? 0;
    this.#said.set(`${by} ${kind}`, nth + 1);
    const signer = this.#signerOf(by, kind);
    const honest = this.#sign(signer, kind, payload);
    const { lie } = this;
    if (lie?.by !== by || lie.kind !== kind || lie.nth !== nth) return { by, kind, nth, document: honest, honest: null };
    const told = lie.tell(honest.payload, this.#knownIds());
    if (told === null) return { by, kind, nth, document: { ...honest, envelope: lie.damage(honest.envelope) }, honest };
    return { by, kind, nth, document: this.#sign(signer, kind, { ...payload, ...told }), honest };
  }

  #knownIds(): readonly string[] {
    return this.handed.map(({ said }) => said.document.id);
  }

  async #submit(envelope: Envelope): Promise<Answer> {
    const answer = await this.#desk.submit(envelope);
    if (!answer.ok || !this.plan.isSaidTwice) return answer;
    const again = await this.#desk.submit(envelope);
    if (JSON.stringify(again) !== JSON.stringify(answer)) this.problems.push("the same document again got another answer");
    return answer;
  }

  /** Hands a document in; a liar whose lie is refused then says what is right, where it has a mind to. */
  async hand(said: Said): Promise<Answer> {
    const answer = await this.#submit(said.document.envelope);
    this.handed.push({ said, answer });
    if (answer.ok || !said.honest || !this.lie?.repents) return answer;
    const right: Said = { ...said, document: said.honest, honest: null };
    const second = await this.#submit(right.document.envelope);
    this.handed.push({ said: right, answer: second });
    return second;
  }

  act<K extends Kind>(by: Actor, kind: K, payload: Own<K>): Promise<Answer> {
    return this.hand(this.say(by, kind, payload));
  }

  /** The bytes of a result lie sealed with the broker. */
  sealed(lease: string): Promise<Answer> {
    return this.#desk.sealed(lease, this.id());
  }

  isSilent(at: Silence): boolean {
    return this.plan.silence?.at === at;
  }

  // --- time ---------------------------------------------------------------------------------------------------------------------------

  /** Time goes by, and a broker hears all the while. */
  async pass(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end;) {
      this.now = Math.min(this.now + HEARD_EVERY_MS, end);
      await this.#desk.hear();
    }
  }

  runTimers(): Promise<number> {
    return this.#desk.runTimers();
  }

  /** What may happen between two steps: a restart, or a time in which no broker is there. */
  async enter(phase: Phase): Promise<void> {
    const gap = this.plan.gaps.get(phase) ?? 0;
    if (gap > 0) this.now += gap;
    if (gap > 0 || this.plan.restarts.has(phase)) await this.restart();
    if (gap > 0) await this.runTimers();
  }

  // --- what there is ------------------------------------------------------------------------------------------------------------------

  async lease(id: string): Promise<LeaseRow> {
    const row = (await this.store.load("lease", [id])).get(id);
    if (!row) throw new Error(`there is no lease ${id}`);
    return row.data;
  }

  async balance({ account }: Identity, bucket: "available" | "held" | "pending" | "staked" | "locked"): Promise<bigint> {
    const key = moneyKey(account, bucket);
    return (await this.store.balances([key])).get(key) ?? 0n;
  }

  /** Those of later attempts at an order among them. */
  async allLeases(): Promise<LeaseRow[]> {
    const known = await Promise.all(this.leases.map((id) => this.lease(id)));
    const orders = await this.store.load("order", [...new Set(known.map(({ orderId }) => orderId))]);
    const others = [...orders.values()].flatMap(({ data: { lease } }) => (lease !== null && !this.leases.includes(lease) ? [lease] : []));
    if (others.length === 0) return known;
    this.leases.push(...others);
    return this.allLeases();
  }

  /** The rounds of audits that have begun are over, and show their secrets. */
  async endRounds(): Promise<void> {
    this.now += AUDIT_ROUND_MS;
    await this.runTimers();
    this.now += MARKET_DEFAULTS.mergeDelayMs;
    await this.runTimers();
  }

  /** As its customer gets it. */
  async receipt(lease: string): Promise<Receipt> {
    while ((await sequence(this.#services)) > 0);
    const { party, signer } = this.customerOf(await this.lease(lease)).identity;
    const key = (await this.store.load("key", [signer.publicKey])).get(signer.publicKey)?.data;
    if (!key) throw new Error("the customer has no key");
    const reads = createReads(this.#services, () => describeMarket(this.#services));
    const answer = await reads.receipt({
      session: { by: "party", party, key },
      params: { id: lease },
      query: { brief: "false" },
      body: undefined,
    });
    if (!answer.ok) throw new Error(`the receipt: ${answer.code}`);
    return answer.reply;
  }
}
