/**
 * How a witness follows a broker's log: a checkpoint must extend what was cosigned of its epoch, and a new epoch must say in its first leaf
 * which cosigned one it follows, and how much of it. What a restore has lost is told and followed; what was signed twice is refused for
 * ever. Who controls the inputs: the broker, every byte it serves.
 */
import {
  bytesOfHex,
  leafHashOf,
  parseLogOrigin,
  verifyCheckpoint,
  verifyConsistency,
  verifyInclusion,
  type Checkpoint,
  type Evidence,
  type MarketHistory,
} from "@xenoservers/protocol";
import { boundLeaves, epochsOf, type EpochDocument } from "./epochs.ts";
import { packFork, packLoss, type Packing } from "./packing.ts";

/** What a witness has cosigned: the notes of each epoch, oldest first, and the epoch that it follows. */
export interface Followed {
  current: string | null;
  logs: Readonly<Record<string, readonly string[]>>;
  /** Epochs of which the broker has signed two logs, with what was found. */
  forked: Readonly<Record<string, string>>;
}
export const NOTHING_FOLLOWED: Followed = { current: null, logs: {}, forked: {} };

/** What the broker serves beside its checkpoint; null where it does not. */
export interface LogSource {
  history(): Promise<MarketHistory>;
  inclusion(leaf: string, size: number): Promise<{ index: number; proof: readonly string[] } | null>;
  consistency(epoch: string, from: number, to: number): Promise<readonly string[] | null>;
}

export interface Loss {
  epoch: string;
  lostLeaves: number;
  evidence: Evidence | null;
}

export type Seen =
  | { kind: "extends"; followed: Followed; losses: readonly Loss[] }
  | { kind: "nothing-new" }
  | { kind: "refused"; why: string; evidence: Evidence | null; followed: Followed };

type Tools = Pick<Packing, "crypto" | "market">;

/** Notes of one epoch that are kept; the older ones stand further apart. */
const NOTES_MAX = 128;

function thinned(notes: readonly string[]): readonly string[] {
  if (notes.length <= NOTES_MAX) return notes;
  const half = NOTES_MAX / 2;
  return [...notes.slice(0, -half).filter((_, i) => i % 2 === 0), ...notes.slice(-half)];
}

const withNote = ({ logs, forked }: Followed, epoch: string, note: string): Followed => ({
  ...{ current: epoch, forked },
  logs: { ...logs, [epoch]: thinned([...(logs[epoch] ?? []), note]) },
});

/** The cosigned checkpoints of an epoch with their notes, oldest first. */
function cosignedOf({ crypto, market }: Tools, { logs }: Followed, epoch: string): { note: string; checkpoint: Checkpoint }[] {
  return (logs[epoch] ?? []).flatMap((note) => {
    const checkpoint = verifyCheckpoint(crypto, market.keys.checkpoints, note);
    return checkpoint ? [{ note, checkpoint }] : [];
  });
}

async function isConsistent(tools: Tools, source: LogSource, epoch: string, from: Checkpoint, to: { size: number; root: string }) {
  if (from.size === to.size) return from.root === to.root;
  const proof = await source.consistency(epoch, from.size, to.size);
  if (!proof) return false;
  return verifyConsistency(tools.crypto, from.size, bytesOfHex(from.root), to.size, bytesOfHex(to.root), proof.map(bytesOfHex));
}

/** Whether the note, signed by the log's key, goes on from what was followed. */
export async function followLog(tools: Tools, source: LogSource, followed: Followed, note: string): Promise<Seen> {
  const refused = (why: string, evidence: Evidence | null = null, then = followed): Seen => ({
    kind: "refused",
    why,
    evidence,
    followed: then,
  });
  const checkpoint = verifyCheckpoint(tools.crypto, tools.market.keys.checkpoints, note);
  const log = checkpoint && parseLogOrigin(checkpoint.origin);
  if (!checkpoint || log?.market !== tools.market.origin) return refused("the broker serves a checkpoint that its log key did not sign");
  const { epoch } = log;
  const before = followed.forked[epoch];
  if (before !== undefined) return refused(`${before}; it is not cosigned any more`);
  if (followed.logs[epoch] === undefined) return begun({ tools, source, followed, note, epoch }, checkpoint);
  if (epoch !== followed.current) return refused(`epoch ${epoch} was over when ${followed.current} began`);
  const last = cosignedOf(tools, followed, epoch).at(-1);
  if (!last) return refused("what was cosigned is not the broker's any more");
  const { size, root } = last.checkpoint;
  if (checkpoint.size === size && checkpoint.root === root) return { kind: "nothing-new" };
  if (checkpoint.size === size) {
    const why = "two logs of the same size";
    const history = await source.history().catch(() => NO_HISTORY);
    return refused(why, packFork({ ...tools, history }, last.note, note), withFork(followed, epoch, why));
  }
  if (checkpoint.size < size) return refused(`the log shrank from ${size} to ${checkpoint.size} leaves`);
  if (await isConsistent(tools, source, epoch, last.checkpoint, checkpoint))
    return { kind: "extends", followed: withNote(followed, epoch, note), losses: [] };
  return refused(`the log of ${checkpoint.size} leaves does not begin with the ${size} that were cosigned`);
}

const NO_HISTORY: MarketHistory = { keySets: [], epochs: [], witnesses: [] };
const withFork = (followed: Followed, epoch: string, why: string): Followed => ({
  ...followed,
  forked: { ...followed.forked, [epoch]: why },
});

interface Beginning {
  tools: Tools;
  source: LogSource;
  followed: Followed;
  note: string;
  epoch: string;
}

/** The first checkpoint of an epoch: its first leaf says what it follows. */
async function begun(beginning: Beginning, checkpoint: Checkpoint): Promise<Seen> {
  const { tools, source, followed, note, epoch } = beginning;
  if (checkpoint.size === 0) return { kind: "nothing-new" };
  const refused = (why: string): Seen => ({ kind: "refused", why, evidence: null, followed });
  const history = await source.history();
  const epochs = epochsOf(
    tools.crypto,
    [tools.market],
    history.epochs.map(({ envelope }) => envelope),
  );
  const document = epochs.get(epoch);
  if (!document || !(await isFirstLeaf(beginning, checkpoint, document, history)))
    return refused(`the first leaf of epoch ${epoch} does not say which log it follows`);
  if (followed.current === null) return { kind: "extends", followed: withNote(followed, epoch, note), losses: [] };
  const known = Object.keys(followed.logs).filter((each) => boundLeaves(epochs, each, epoch) !== null);
  const [from] = known.filter((each) => known.every((other) => boundLeaves(epochs, other, each) !== null));
  if (from === undefined) return refused(`epoch ${epoch} names no log that was cosigned here: a restore that was not declared`);
  return continued(beginning, { history, epochs, from });
}

async function isFirstLeaf({ tools, source }: Beginning, { size, root }: Checkpoint, document: EpochDocument, { epochs }: MarketHistory) {
  const { crypto } = tools;
  for (const { at } of epochs.filter(({ envelope }) => envelope.payload === document.envelope.payload)) {
    const leaf = leafHashOf(crypto, document, at, "");
    const found = await source.inclusion(leaf, size);
    const isThere = found?.index === 0 && verifyInclusion(crypto, bytesOfHex(leaf), 0, size, found.proof.map(bytesOfHex), bytesOfHex(root));
    if (isThere) return true;
  }
  return false;
}

interface Declared {
  history: MarketHistory;
  epochs: ReadonlyMap<string, EpochDocument>;
  /** The cosigned epoch that the new one goes back to. */
  from: string;
}

/** Whether what the new epoch says of the one that it goes back to is what was cosigned of it, and what is lost. */
async function continued({ tools, source, followed, note, epoch }: Beginning, { history, epochs, from }: Declared): Promise<Seen> {
  const follower = [...epochs.values()].find(
    ({ payload }) => payload.previous?.epoch === from && boundLeaves(epochs, payload.epoch, epoch) !== null,
  );
  const stated = follower?.payload.previous;
  if (!follower || !stated) return { kind: "refused", why: `epoch ${epoch} does not follow ${from}`, evidence: null, followed };
  const packing: Packing = { ...tools, history };
  const cosigned = cosignedOf(tools, followed, from);
  const same = cosigned.find(({ checkpoint }) => checkpoint.size === stated.size);
  if (same && same.checkpoint.root !== stated.root) {
    const why = `epoch ${epoch} says otherwise of the ${stated.size} leaves of ${from} that were cosigned`;
    return { kind: "refused", why, evidence: packFork(packing, same.note, follower.envelope), followed: withFork(followed, epoch, why) };
  }
  const below = cosigned.findLast(({ checkpoint }) => checkpoint.size <= stated.size);
  if (below && !(await isConsistent(tools, source, from, below.checkpoint, stated))) {
    const why = `the ${stated.size} leaves of ${from} that epoch ${epoch} follows do not begin with the ${below.checkpoint.size} cosigned`;
    return { kind: "refused", why, evidence: null, followed };
  }
  const document = epochs.get(epoch) ?? follower;
  const losses = Object.keys(followed.logs).flatMap((each) => lossOf(packing, followed, each, document, boundLeaves(epochs, each, epoch)));
  return { kind: "extends", followed: withNote(followed, epoch, note), losses };
}

/** What the last cosigned checkpoint of an epoch has and the new one does not; told once, when its epoch is left. */
function lossOf(packing: Packing, followed: Followed, epoch: string, successor: EpochDocument, kept: number | null): Loss[] {
  const last = cosignedOf(packing, followed, epoch).at(-1);
  const lostLeaves = (last?.checkpoint.size ?? 0) - (kept ?? 0);
  const isLeft = epoch === followed.current || kept === null;
  if (!last || lostLeaves <= 0 || !isLeft) return [];
  return [{ epoch, lostLeaves, evidence: packLoss(packing, last.note, successor.envelope) }];
}
