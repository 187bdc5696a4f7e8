/** What a machine printed, brought to a terminal as fast as that takes it: where more comes, what is older is left out. */
import type { Followed } from "../followed.ts";
import type { Screen } from "./terminal-view.tsx";

type Source = Pick<Followed, "raw" | "subscribe">;

/** Gives what ends it. */
export function feed({ raw, subscribe }: Source, screen: Pick<Screen, "write" | "reset">): () => void {
  let [at, beginnings, isBusy, isOver] = [0, raw.beginnings, false, false];
  /** What is there now, at once; what is read while it is drawn comes next. */
  const next = (): readonly Uint8Array[] => {
    const isNew = raw.beginnings !== beginnings;
    if (isNew) [at, beginnings] = [0, raw.beginnings];
    const { pieces, begin } = raw.after(at);
    // its first half may have moved the cursor, or begun a colour
    if (isNew || (begin > at && at > 0)) screen.reset();
    at = raw.end;
    return pieces;
  };
  const pump = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    for (let pieces = next(); pieces.length > 0 && !isOver; pieces = next())
      for (const piece of pieces) if (!isOver) await screen.write(piece);
    isBusy = false;
  };
  const stop = subscribe(() => void pump());
  void pump();
  return () => {
    isOver = true;
    stop();
  };
}
