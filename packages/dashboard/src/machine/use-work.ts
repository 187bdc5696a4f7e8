/** One thing at a time that is asked of a machine, with how far it is; it can be called off, and is where nobody looks any more. */
import { useCallback, useEffect, useRef, useState } from "react";
import { Reading, type Read } from "./reading.ts";

/** `onBytes`: so many more have come or gone. */
export type Doing = (signal: AbortSignal, onBytes: (bytes: number) => void) => Promise<void>;

export interface Work {
  /** Null: nothing is under way. */
  read: Read | null;
  error: unknown;
  /** `name`: of what moves; `bytesInAll`: null where nobody knows. What was under way before is called off. */
  begin(name: string, bytesInAll: number | null, doing: Doing): void;
  callOff(): void;
}

export function useWork(): Work {
  const [read, setRead] = useState<Read | null>(null);
  const [error, setError] = useState<unknown>(null);
  const running = useRef<AbortController | null>(null);
  const callOff = useCallback((): void => {
    running.current?.abort();
    running.current = null;
    setRead(null);
  }, []);
  useEffect(() => callOff, [callOff]);
  const begin: Work["begin"] = (name, bytesInAll, doing) => {
    callOff();
    const off = new AbortController();
    const { signal } = off;
    running.current = off;
    setError(null);
    setRead({ name, bytes: 0, bytesInAll, bytesPerSecond: null });
    const reading = new Reading();
    let bytes = 0;
    const onBytes = (more: number): void => {
      bytes += more;
      const shown = reading.told({ name, bytes, bytesInAll }, performance.now());
      if (shown && !signal.aborted) setRead(shown);
    };
    void doing(signal, onBytes)
      .catch((why: unknown) => signal.aborted || setError(why))
      .finally(() => signal.aborted || setRead(null));
  };
  return { read, error, begin, callOff };
}
