/** A script as a forger plays it: part by part, each as it was or otherwise. */
import type { Receipt } from "@xenoservers/protocol";
import { BROKER, type KeyName } from "./cast.ts";
import { Rng } from "./rng.ts";
import { Play, fileOf, receiptOf, type Edit, type Filed, type Part } from "./script.ts";
import type { Story } from "./stories.ts";

export interface Move {
  part: Part;
  by: KeyName;
  at: number;
  edit: Edit;
  /** A document of another lease in its place. */
  foreign: Filed | null;
  /** It was said, and others rest on it; the receipt does not show it. */
  isHidden: boolean;
}

export const moveOf = (part: Part): Move => ({ part, by: part.by, at: part.at, edit: {}, foreign: null, isHidden: false });
export const movesOf = (story: Story): Move[] => story.script.parts.map(moveOf);

/** Plays the moves: what the forger holds keys for follows from what is said before, everything else is as it was honestly signed. */
export function replay(story: Story, moves: readonly Move[], held: ReadonlySet<KeyName>, rng: Rng): Play {
  const play = new Play();
  for (const { part, by, at, edit, foreign, isHidden } of moves) {
    const honest = story.play.find(part.label);
    const document = foreign?.document ?? (held.has(by) ? signed(play, { part, by, at, edit }) : null) ?? honest?.document ?? null;
    if (document) play.filed.push({ ...fileOf(part, document, rng), at, isAside: part.isAside || isHidden });
  }
  return play;
}

/** Null where it cannot be made: what it rests on is gone, or its contents are no contents at all. */
function signed(play: Play, { part, by, at, edit }: Pick<Move, "part" | "by" | "at" | "edit">) {
  try {
    return part.make(play, by, at, edit);
  } catch {
    return null;
  }
}

/** What a test changes in a story, by its parts' labels. */
export interface Changes {
  held?: readonly KeyName[];
  edits?: Readonly<Record<string, Edit>>;
  by?: Readonly<Record<string, KeyName>>;
  at?: Readonly<Record<string, number>>;
  drop?: readonly string[];
  /** These come last. */
  last?: readonly string[];
}

/** The receipt of a story in which somebody with these keys did so. */
export function retold(story: Story, { held = BROKER, edits = {}, by = {}, at = {}, drop = [], last = [] }: Changes): Receipt {
  const moves = movesOf(story).filter(({ part }) => !drop.includes(part.label));
  for (const move of moves) {
    const { label } = move.part;
    move.edit = edits[label] ?? {};
    move.by = by[label] ?? move.by;
    move.at = at[label] ?? move.at;
  }
  const ordered = [...moves.filter(({ part }) => !last.includes(part.label)), ...moves.filter(({ part }) => last.includes(part.label))];
  const play = replay(story, ordered, new Set(held), new Rng(1));
  return receiptOf(story.cast, play.find("purchase-order")?.document.id ?? story.lease, play.filed);
}
