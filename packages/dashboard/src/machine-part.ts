/** The code of machines, which is loaded where somebody wants one: whoever runs scripts alone loads none of it. */
import { useEffect, useState } from "react";

type MachinePart = typeof import("./machine/machines.ts");

let part: MachinePart | null = null;
let loading: Promise<MachinePart> | null = null;

/** Once it is there it stays; where it cannot be had it is asked for again by whoever wants it next. */
async function load(): Promise<MachinePart> {
  loading ??= import("./machine/machines.ts");
  try {
    return (part = await loading);
  } catch (error) {
    loading = null;
    throw error;
  }
}

/** `part`: null until it is there. */
export function useMachinePart(isWanted: boolean): { part: MachinePart | null; error: unknown } {
  const [here, setHere] = useState(part);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    if (isWanted) void load().then(setHere, setError);
  }, [isWanted]);
  return { part: here, error };
}
