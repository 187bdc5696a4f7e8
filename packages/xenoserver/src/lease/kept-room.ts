/**
 * What ended leases may take of their owner's disk, each customer's and all together, and what stays free of it. What is kept only to be
 * quicker goes first, then what is oldest, but for what somebody may still doubt: that is its owner's proof. Where that alone is too much,
 * no new lease comes. A file that several have is counted once. Who controls the inputs: the owner (bounds), customers (how much they
 * leave).
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
  /** What it has alone. */
  bytes: number;
  /** Files that others may have too, and what each takes. */
  shared: ReadonlyMap<string, number>;
  overAt: number;
  /** Kept only to be quicker: nobody may ask for it. */
  isSpare: boolean;
  /** Forgets it; false where somebody may still ask for it. */
  letGo(): Promise<boolean>;
}

const GIB = 1024 ** 3;
const gib = (bytes: number): string => `${Math.round((bytes / GIB) * 100) / 100} GiB`;

/** What they take of the disk together, as they go one by one. */
class Taken {
  readonly #holders = new Map<string, number>();
  bytes = 0;

  constructor(all: readonly Kept[]) {
    for (const { bytes, shared } of all) {
      this.bytes += bytes;
      for (const [file, size] of shared) if (this.#count(file, 1) === 1) this.bytes += size;
    }
  }

  #count(file: string, more: number): number {
    const holders = (this.#holders.get(file) ?? 0) + more;
    this.#holders.set(file, holders);
    return holders;
  }

  gone({ bytes, shared }: Kept): void {
    this.bytes -= bytes;
    for (const [file, size] of shared) if (this.#count(file, -1) === 0) this.bytes -= size;
  }
}

const sumOf = (all: readonly Kept[]): number => new Taken(all).bytes;

/** In the order in which they go: what is only to be quicker, then what is oldest. */
const inTheirTurn = (all: readonly Kept[]): Kept[] => [...all].sort((a, b) => Number(b.isSpare) - Number(a.isSpare) || a.overAt - b.overAt);

/** Those that stay; they go in their turn while there is need. */
async function leftOf(all: readonly Kept[], isNeed: (taken: Taken) => boolean | Promise<boolean>): Promise<Kept[]> {
  const taken = new Taken(all);
  const left: Kept[] = [];
  for (const each of inTheirTurn(all)) {
    if ((await isNeed(taken)) && (await each.letGo())) taken.gone(each);
    else left.push(each);
  }
  return left;
}

/** Those that stay when they are to take so much. */
const shrunk = (all: readonly Kept[], bytesMax: number): Promise<Kept[]> => leftOf(all, ({ bytes }) => bytes > bytesMax);

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
  const isFull = async (): Promise<boolean> => (await freeBytes()) < leftFreeBytes;
  const isSpare = (each: Kept): boolean => each.isSpare;
  await leftOf(left.filter(isSpare), isFull);
  if (await isFull()) await letGoOfCaches();
  if (await isFull())
    await shrunk(
      left.filter((each) => !isSpare(each)),
      0,
    );
  const free = await freeBytes();
  if (free >= leftFreeBytes) return null;
  return owners(`the disk is full: ${gib(free)} are free, ${gib(leftFreeBytes)} are to stay so (disk.left_free_gib)`);
}
