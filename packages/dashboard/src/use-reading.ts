/** What is read of the market and shown, for as long as somebody looks. */
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { News } from "./news.ts";
import { Reader } from "./reader.ts";

export interface Reading<T> {
  /** The latest that came; it stays while more is read, and where reading fails. */
  value: T | null;
  /** Why it is not the latest. */
  error: unknown;
}

const NOTHING = { value: null, error: null };

/** When a page is seen again, or the network is there again, all that it shows may be old. */
function whenBack(heard: () => void): () => void {
  const again = (): void => {
    if (!document.hidden) heard();
  };
  document.addEventListener("visibilitychange", again);
  addEventListener("online", again);
  return () => {
    document.removeEventListener("visibilitychange", again);
    removeEventListener("online", again);
  };
}

/** `read`: the same function for as long as it reads the same (useCallback). */
export function useReading<T>(read: (signal: AbortSignal) => Promise<T>, everyMs: number, news = 0): Reading<T> {
  const [{ of, ...reading }, setRead] = useState<Reading<T> & { of: typeof read | null }>({ of: null, ...NOTHING });
  const reader = useRef<Reader<T> | null>(null);
  const heard = useRef(news);
  useEffect(() => {
    const begun = new Reader(read, everyMs, ({ value, error }) =>
      setRead((before) => ({ of: read, error, value: error === null ? value : before.of === read ? before.value : null })),
    );
    reader.current = begun;
    const leave = whenBack(() => begun.again());
    return () => {
      begun.stop();
      leave();
    };
  }, [read, everyMs]);
  useEffect(() => {
    if (heard.current === news) return;
    heard.current = news;
    reader.current?.again();
  }, [news]);
  return of === read ? reading : NOTHING;
}

/** Another number each time that something has happened. */
export const useNews = (news: News): number => useSyncExternalStore(news.subscribe, news.count);
