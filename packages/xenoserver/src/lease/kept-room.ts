/**
 * What ended leases may take of their owner's disk, each customer's and all together, and what stays free of it. What is oldest goes first,
 * but for what somebody may still doubt: that is its owner's proof. Where that alone is too much, no new lease comes. Who controls the
 * inputs: the owner (bounds), customers (how much they leave).
 */
export interface RoomRules {
  /** Kept of ended leases, in bytes of the disk. */
  keptBytesMax: number;
  keptBytesOfOneMax: number;
  /** Never taken by new leases. */
  leftFreeBytes: number;
  freeBytes(): Promise<number>;
  /** Lets go of what is kept only to be quicker: that goes before anything that somebody may ask for. */
  letGoOfCaches(): Promise<void>;
}

export interface Kept {
  lease: string;
  customer: string;
  bytes: number;
  overAt: number;
  /** Forgets it; false where somebody may still ask for it. */
  letGo(): Promise<boolean>;
}

const GIB = 1024 ** 3;
const gib = (bytes: number): string => `${Math.round((bytes / GIB) * 100) / 100} GiB`;
const sumOf = (all: readonly Kept[]): number => all.reduce((sum, { bytes }) => sum + bytes, 0);

/** Those that stay when they are to take so much; what is oldest goes first. */
async function shrunk(all: readonly Kept[], bytesMax: number): Promise<Kept[]> {
  let sum = sumOf(all);
  const left: Kept[] = [];
  for (const each of [...all].sort((a, b) => a.overAt - b.overAt)) {
    if (sum > bytesMax && (await each.letGo())) sum -= each.bytes;
    else left.push(each);
  }
  return left;
}

/** Why there is no room, in words, and whether that is for this customer's own doing alone. */
export interface RoomProblem {
  why: string;
  isCustomers: boolean;
}

/** Lets go of what is too much before a lease of this customer comes. Why there is no room for it then; null where there is. */
export async function roomProblem(rules: RoomRules, kept: readonly Kept[], customer: string): Promise<RoomProblem | null> {
  const { keptBytesMax, keptBytesOfOneMax, leftFreeBytes, freeBytes, letGoOfCaches } = rules;
  const own = kept.filter((each) => each.customer === customer);
  const ownLeft = await shrunk(own, keptBytesOfOneMax);
  const ofOne = sumOf(ownLeft);
  if (ofOne > keptBytesOfOneMax) {
    const why = `${gib(ofOne)} are kept for its customer (disk.kept_customer_gib) as long as they may be asked for`;
    return { why, isCustomers: true };
  }
  const others = kept.filter((each) => each.customer !== customer);
  const left = await shrunk([...others, ...ownLeft], keptBytesMax);
  const ofAll = sumOf(left);
  const owners = (why: string): RoomProblem => ({ why, isCustomers: false });
  if (ofAll > keptBytesMax) return owners(`${gib(ofAll)} are kept of ended leases (disk.kept_gib) as long as they may be asked for`);
  if ((await freeBytes()) < leftFreeBytes) await letGoOfCaches();
  if ((await freeBytes()) < leftFreeBytes) await shrunk(left, 0);
  const free = await freeBytes();
  if (free >= leftFreeBytes) return null;
  return owners(`the disk is full: ${gib(free)} are free, ${gib(leftFreeBytes)} are to stay so (disk.left_free_gib)`);
}
