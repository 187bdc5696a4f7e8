/** A script as a forger plays it: part by part, each as it was or otherwise. */
import type { KeyName } from "./cast.ts";
import type { Rng } from "./rng.ts";
import { Play, fileOf, type Edit, type Filed, type Part } from "./script.ts";
import type { Story } from "./stories.ts";

export interface Move {
  part: Part;
  by: KeyName;
  at: number;
  edit: Edit;
  /** A document of another lease in its place. */
  foreign: Filed | null;
}

export const moveOf = (part: Part): Move => ({ part, by: part.by, at: part.at, edit: {}, foreign: null });
export const movesOf = (story: Story): Move[] => story.script.parts.map(moveOf);

/** Plays the moves: what the forger holds keys for follows from what is said before, everything else is as it was honestly signed. */
export function replay(story: Story, moves: readonly Move[], held: ReadonlySet<KeyName>, rng: Rng): Play {
  const play = new Play();
  for (const { part, by, at, edit, foreign } of moves) {
    const honest = story.play.find(part.label);
    const document = foreign?.document ?? (held.has(by) ? signed(play, { part, by, at, edit }) : null) ?? honest?.document ?? null;
    if (document) play.filed.push({ ...fileOf(part, document, rng), at });
  }
  return play;
}

/** Null where it cannot be made: what it rests on is gone, or its contents are no contents at all. */
function signed(play: Play, { part, by, at, edit }: Omit<Move, "foreign">) {
  try {
    return part.make(play, by, at, edit);
  } catch {
    return null;
  }
}
