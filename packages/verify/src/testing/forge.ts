/**
 * Forgeries of real receipts, seeded: a broker with all its keys, alone or together with the server or the customer, who sign, drop,
 * repeat, reorder, swap and backdate what they like and show a log built for it; a server or a customer alone, who have no log; and
 * anyone at all, who has the file.
 */
import { leafHashOf, type Receipt, type ReceiptDocument } from "@xenoservers/protocol";
import { BROKER, type Cast, type KeyName } from "./cast.ts";
import { againEdit, anyEdit } from "./edits.ts";
import { corrupt, mixed } from "./corrupt.ts";
import { movesOf, replay, type Move } from "./moves.ts";
import type { Rng } from "./rng.ts";
import { receiptOf, type Filed, type Play } from "./script.ts";
import { neverClaimed, schemeFor } from "./schemes.ts";
import type { Story } from "./stories.ts";

export interface Forgery {
  receipt: Receipt;
  held: ReadonlySet<KeyName>;
  /** What was done, for whoever looks for it. */
  did: readonly string[];
}

const FORGERS: readonly (readonly KeyName[])[] = [
  ...[BROKER, BROKER, BROKER, [...BROKER, "stranger", "stranger-server"]],
  ...[
    [...BROKER, "server"],
    [...BROKER, "server", "owner", "enrol"],
    [...BROKER, "customer", "device", "ci"],
    [...BROKER, "referee"],
    [...BROKER, "referee-owner"],
  ],
  ...[["server"], ["customer", "device", "ci"], ["stranger", "stranger-server"]],
] as const;

/** One thing that a forger does to its moves; what it did, in words. */
function oneChange(story: Story, other: Story, moves: Move[], held: ReadonlySet<KeyName>, rng: Rng): string {
  const at = rng.below(moves.length);
  const move = moves[at];
  if (!move) return "nothing";
  const own = moves.filter(({ by }) => held.has(by));
  const { label } = move.part;
  switch (rng.below(9)) {
    case 0:
    case 1: {
      const edited = own.length === 0 ? move : rng.pick(own);
      const document = story.play.find(edited.part.label)?.document;
      if (document) edited.edit = { ...edited.edit, ...anyEdit(rng, document, story.play) };
      return `edited ${edited.part.label}: ${JSON.stringify(edited.edit).slice(0, 120)}`;
    }
    case 2:
      if (rng.chance(0.5)) moves.splice(at, 1);
      else move.isHidden = true;
      return `${move.isHidden ? "hid" : "dropped"} ${label}`;
    case 3: {
      const copy = { ...move, edit: rng.chance(0.5) ? againEdit(rng) : move.edit };
      moves.splice(rng.below(moves.length + 1), 0, copy);
      return `repeated ${label}`;
    }
    case 4: {
      moves.splice(at, 1);
      const to = rng.below(moves.length + 1);
      moves.splice(to, 0, move);
      if (rng.chance(0.7)) move.at = moves[Math.max(0, to - 1)]?.at ?? move.at;
      return `moved ${label} to ${to}`;
    }
    case 5:
      move.at = Math.max(1, move.at + rng.pick([-1, 1]) * rng.pick([1, 1_000, 5_000, 60_000, 3_600_000]));
      return `timed ${label} at ${move.at}`;
    case 6: {
      const by = rng.pick([0, 1_000, 20_000, 90_000]);
      for (const later of moves.slice(at)) later.at += by;
      return `everything from ${label} on ${by} ms later`;
    }
    case 7: {
      const same = other.play.filed.filter(({ document, isAside }) => document.kind === move.part.kind && !isAside);
      move.foreign = same.length === 0 ? null : rng.pick(same);
      return `took ${label} from another lease`;
    }
    default:
      move.by = rng.pick([...held]);
      return `signed ${label} with ${move.by}`;
  }
}

/** What somebody without the log's key can do: put what was signed otherwise into the honest receipt. */
function intoHonest(cast: Cast, honest: Receipt, play: Play, rng: Rng): Receipt {
  const stored = (each: Filed): ReceiptDocument => {
    const { document, at, isLeaf } = each;
    const before = (isLeaf ? honest.leaves : honest.documents).find(
      ({ kind, id }) => id === document.id || (kind === document.kind && rng.chance(0.5)),
    );
    if (before?.id === document.id && before.at === at) return before;
    const salt = before?.salt ?? each.salt;
    const leaf = leafHashOf(cast.crypto, document, at, salt);
    const place = before && rng.chance(0.4) ? { index: before.index, proof: before.proof } : { index: null, proof: [] };
    return { kind: document.kind, id: document.id, envelope: document.envelope, at, salt, leaf, ...place };
  };
  const shown = play.filed.filter(({ isAside }) => !isAside);
  return {
    ...honest,
    documents: shown.filter(({ isLeaf }) => !isLeaf).map(stored),
    leaves: shown.filter(({ isLeaf }) => isLeaf).map(stored),
  };
}

/** `other`: a lease of the same parties. */
export function forge(story: Story, other: Story, honest: Receipt, rng: Rng): Forgery {
  if (rng.chance(0.05)) {
    const theirs = receiptOf(other.cast, other.lease, other.play.filed, { seed: rng.below(1_000) });
    return { receipt: mixed(honest, theirs, rng), held: new Set(), did: [`mixed in documents of another lease (${other.name})`] };
  }
  if (rng.chance(0.2)) {
    const { receipt, did } = corrupt(story.cast, honest, rng);
    return { receipt, held: new Set(), did: [did] };
  }
  const keys = rng.pick(FORGERS);
  const held = new Set(keys);
  const hasLog = held.has("checkpoints");
  const moves = movesOf(story);
  const did: string[] = [];
  const unclaimed = held.has("server") && rng.chance(0.2) ? neverClaimed(moves) : null;
  if (unclaimed !== null) did.push(unclaimed);
  else if (rng.chance(0.5)) did.push(schemeFor(story, moves, held, rng));
  for (let changes = did.length === 0 ? rng.between(1, 3) : rng.below(3); changes > 0; changes--)
    did.push(oneChange(story, other, moves, held, rng));
  const play = replay(story, moves, held, rng);
  const lease = play.find("purchase-order")?.document.id ?? story.lease;
  if (!hasLog) return { receipt: intoHonest(story.cast, honest, play, rng), held, did };
  if (rng.chance(0.1)) for (const each of play.filed.slice(rng.below(play.filed.length))) each.isPending = true;
  const receipt = receiptOf(story.cast, lease, play.filed, { seed: rng.below(1_000_000) });
  if (!rng.chance(0.05)) return { receipt, held, did };
  const damaged = corrupt(story.cast, receipt, rng);
  return { receipt: damaged.receipt, held, did: [...did, damaged.did] };
}
