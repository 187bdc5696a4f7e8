/** Ends leases that somebody points at; what goes wrong is told. */
import { useCallback, useState } from "react";
import type { Access } from "./access.ts";

export interface Stopping {
  stopping: ReadonlySet<string>;
  /** Null: this key may not. */
  stop: ((lease: string) => void) | null;
  error: unknown;
}

export function useStop(access: Access): Stopping {
  const [stopping, setStopping] = useState<ReadonlySet<string>>(new Set());
  const [error, setError] = useState<unknown>(null);
  const stop = useCallback(
    (lease: string) => {
      setError(null);
      setStopping((before) => new Set([...before, lease]));
      void access.market
        .stop(lease, { reason: "stopped in the market's page" })
        .catch(setError)
        .finally(() => {
          setStopping((before) => new Set([...before].filter((each) => each !== lease)));
          access.news.tell();
        });
    },
    [access],
  );
  return { stopping, stop: access.may("control") ? stop : null, error };
}
