/**
 * What cheating is expected to gain, by chance played over the market's own rules: its rates, draws, bills, stakes and draws of replicas.
 * A cheat signs what it likes and runs nothing, so that all that it is paid is gain. Who controls the inputs: the cheat (what it states,
 * which leases it lies in, how many owners it is); the log's secret and the broker's draw are nobody's to foresee.
 */
import {
  PPM,
  drawPpm,
  drawReplicas,
  isDrawn,
  quote,
  recordPpm,
  replicaBudget,
  settle,
  stakeToLockNanos,
  type Candidate,
  type Quote,
} from "@xenoservers/market";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Random } from "@xenoservers/testkit";
import { auditMac } from "@xenoservers/verify";

const RESOURCES = { vcpu: 1, memoryMib: 512, diskMib: 256 };
const HOUR_MS = 3_600_000;
const FEE_BASIS_POINTS = 500;

/** Stated rates of records, in parts per million, from the floor to a newcomer's. */
export const STATED_PPM = [10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000] as const;

/** The fewest right audits that have this rate. */
export const auditsFor = (ppm: number): number => Math.ceil((4 * PPM) / ppm) - 4;

/** What a cheat states of the fuel that it used: the job's own, all that was ordered, or anything between. */
export type Stated = "as much as the job" | "all of the fuel" | "anything";

interface Job {
  quoted: Quote;
  gigaFuelNanos: bigint;
  fuel: bigint;
}

const HEX = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

interface Wanted {
  fuelMax: bigint;
  budgetNanos: bigint;
}

const anyOrder = (random: Random, replicas: number): Wanted => ({
  fuelMax: 10n ** BigInt(random.between(9, 14)),
  budgetNanos: replicaBudget(10n ** BigInt(random.between(5, 12)), replicas, true),
});

/** At any price: most jobs use a small part of what they were allowed, some all of it. */
function anyJob(random: Random, { fuelMax, budgetNanos }: Wanted): Job {
  const gigaFuelNanos = BigInt(random.between(1, 100_000));
  const price = { vcpuNanosPerSecond: 1n, memoryGibNanosPerSecond: 1n, diskGibNanosPerSecond: 1n, gigaFuelNanos, egressGibNanos: 0n };
  const wanted = { terms: "on-result", resources: RESOURCES, price, durationMsMax: HOUR_MS, egressMibMax: 0, holdsReserve: true } as const;
  const quoted = quote({ ...wanted, budgetNanos, fuelMax });
  return { quoted, gigaFuelNanos, fuel: quoted.fuelMax / 10n ** BigInt(random.between(0, 4)) + 1n };
}

function statedFuel(random: Random, { quoted, fuel }: Job, stated: Stated): bigint {
  if (stated === "as much as the job") return fuel;
  return stated === "all of the fuel" ? quoted.fuelMax : (quoted.fuelMax * BigInt(random.between(1, 1_000))) / 1_000n;
}

interface Signed {
  dueNanos: bigint;
  ownerNanos: bigint;
  stakeNanos: bigint;
}

/** The bill of what a cheat signs, and what it has locked for it. */
function billed({ quoted, gigaFuelNanos }: Job, claimedFuel: bigint): Signed {
  const price = { vcpuNanosPerSecond: 1n, memoryGibNanosPerSecond: 1n, diskGibNanosPerSecond: 1n, gigaFuelNanos, egressGibNanos: 0n };
  const { dueNanos, ownerNanos } = settle({
    ...{ reason: "completed", terms: "on-result", resources: RESOURCES, price, feeBasisPoints: FEE_BASIS_POINTS },
    ...{ holdNanos: quoted.holdNanos, auditReserveNanos: quoted.auditReserveNanos, cancellationNanos: quoted.cancellationNanos },
    ...{ durationMsMax: quoted.durationMsMax, fuelMax: quoted.fuelMax, claimedMs: HOUR_MS, claimedFuel },
    ...{ claimedEgressBytes: 0n, egressMibMax: 0, openMs: HOUR_MS },
  });
  return { dueNanos, ownerNanos, stakeNanos: stakeToLockNanos("replicated", quoted.workNanos) };
}

const drawnFor = (random: Random, ppm: number, { dueNanos, stakeNanos }: Signed): boolean => {
  const lease = { id: HEX(random.bytes(32)), auditSalt: HEX(random.bytes(32)) };
  return isDrawn(auditMac(nodeCrypto, random.bytes(32), lease), drawPpm(recordPpm(auditsFor(ppm)), dueNanos, stakeNanos));
};

/** Over many leases: what was gained, for each unit that was due. */
class Gains {
  gained = 0;
  due = 0;

  add(signed: readonly Signed[], isCaught: boolean): void {
    const total = signed.reduce((sum, { dueNanos }) => sum + Number(dueNanos), 0);
    if (total === 0) return;
    const gain = signed.reduce((sum, { ownerNanos, stakeNanos }) => sum + Number(isCaught ? -stakeNanos : ownerNanos), 0);
    // each lease counts alike, whatever it costs
    this.gained += gain / total;
    this.due += 1;
  }

  get perDue(): number {
    return this.due === 0 ? 0 : this.gained / this.due;
  }
}

/** One owner that lies in every lease, at the rate of its record. */
export function lonelyCheat(random: Random, ppm: number, stated: Stated, leases: number): number {
  const gains = new Gains();
  for (let i = 0; i < leases; i++) {
    const job = anyJob(random, anyOrder(random, 1));
    const signed = billed(job, statedFuel(random, job, stated));
    gains.add([signed], drawnFor(random, ppm, signed));
  }
  return gains.perDue;
}

/** `always`: lies wherever one of its owners is drawn. `together`: only where all replicas are its own, and nobody differs. */
export type Colluders = "always" | "together";

interface Market {
  owners: number;
  /** Of these, so many are one person. */
  colluding: number;
  replicas: number;
}

const candidate = (owner: number): Candidate => ({ owner: `owner ${owner}`, server: `server ${owner}` }) as Candidate;

/** One person who is several owners, in a market that draws replicas: what each tells the other is known before anybody signs. */
export function colludingOwners(random: Random, market: Market, how: Colluders, ppm: number, orders: number): number {
  const gains = new Gains();
  const all = Array.from({ length: market.owners }, (_, i) => candidate(i));
  for (let i = 0; i < orders; i++) {
    const drawn = drawReplicas(all, market.replicas, () => random.fraction()) ?? [];
    const own = drawn.filter(({ owner }) => Number(owner.slice("owner ".length)) < market.colluding);
    const isAlone = own.length === drawn.length;
    if (own.length === 0 || (how === "together" && !isAlone)) continue;
    const order = anyOrder(random, market.replicas);
    const jobs = own.map(() => anyJob(random, order));
    // who agrees states one fuel, within what each was bound to
    const most = jobs.map(({ quoted }) => quoted.fuelMax).reduce((one, other) => (other < one ? other : one));
    const fuel = (most * BigInt(random.between(1, 1_000))) / 1_000n;
    const signed = jobs.map((job) => billed(job, fuel));
    // where an honest replica differs the referee decides; where none does, the audits
    gains.add(signed, !isAlone || signed.some((each) => drawnFor(random, ppm, each)));
  }
  return gains.perDue;
}
