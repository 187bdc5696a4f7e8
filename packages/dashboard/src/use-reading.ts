/** What is read of the market and shown: read again where there are news, or after a while; an answer that nobody waits for is dropped. */
import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import type { News } from "./news.ts";

export interface Reading<T> {
  /** The latest that came; it stays while more is read, and where reading fails. */
  value: T | null;
  error: unknown;
  again(): void;
}

const NOTHING = { value: null, error: null };

/** `read`: the same function for as long as it reads the same (useCallback). `everyMs` null: only when asked to. */
export function useReading<T>(read: (signal: AbortSignal) => Promise<T>, everyMs: number | null, news = 0): Reading<T> {
  const [{ of, value, error }, setRead] = useState<{ of: typeof read | null; value: T | null; error: unknown }>({ of: null, ...NOTHING });
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    const ending = new AbortController();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const once = async (): Promise<void> => {
      try {
        const next = await read(ending.signal);
        if (!ending.signal.aborted) setRead({ of: read, value: next, error: null });
      } catch (failed) {
        if (!ending.signal.aborted) setRead((before) => ({ of: read, value: before.of === read ? before.value : null, error: failed }));
      }
      if (everyMs !== null && !ending.signal.aborted) timer = setTimeout(() => void once(), everyMs);
    };
    void once();
    return () => {
      ending.abort();
      if (timer !== null) clearTimeout(timer);
    };
  }, [read, everyMs, news, asked]);
  const again = useCallback(() => setAsked((count) => count + 1), []);
  return of === read ? { value, error, again } : { ...NOTHING, again };
}

/** Another number each time that something has happened. */
export const useNews = (news: News): number => useSyncExternalStore(news.subscribe, news.count);
