/** What a machine printed, brought to a terminal as fast as that takes it: where more comes, what is older is left out. */
import type { Followed } from "../followed.ts";
import type { Screen } from "./terminal-view.tsx";

type Source = Pick<Followed, "raw" | "subscribe">;

/** Gives what ends it. */
export function feed({ raw, subscribe }: Source, screen: Pick<Screen, "write" | "reset">): () => void {
  let [at, beginnings, isBusy, isOver] = [0, raw.beginnings, false, false];
  /** What is there now, all at once: a terminal takes a while for each piece, and it may be a letter. */
  const next = (): Uint8Array => {
    const isNew = raw.beginnings !== beginnings;
    if (isNew) [at, beginnings] = [0, raw.beginnings];
    const { bytes, begin } = raw.after(at);
    // its first half may have moved the cursor, or begun a colour
    if (isNew || (begin > at && at > 0)) screen.reset();
    at = raw.end;
    return bytes;
  };
  const pump = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    for (let isMore = true; isMore && !isOver;) {
      const bytes = next();
      isMore = bytes.length > 0;
      if (isMore) await screen.write(bytes);
    }
    isBusy = false;
  };
  const stop = subscribe(() => void pump());
  void pump();
  return () => {
    isOver = true;
    stop();
  };
}
