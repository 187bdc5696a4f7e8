/** What runs here goes on at another server of its owner, one lease after the other. Who controls the inputs: the owner. */
import type { XenoServer } from "../server.ts";
import { connectForMove, type HostPort } from "../move/move-port.ts";

export interface MoveTarget extends HostPort {
  /** Its id: whoever else answers there is told nothing. */
  server: string;
}

export interface Moved {
  moved: string[];
  /** With why, in words. */
  stay: { lease: string; why: string }[];
}

/** The other server is not reached: that is so for whatever runs here. */
class Unreached extends Error {
  override name = "Unreached";
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** `ID@HOST:PORT` is in `target`. A lease that cannot leave now stays, and the next is tried. */
export async function moveAll(server: Pick<XenoServer, "moves">, { server: to, ...at }: MoveTarget): Promise<Moved> {
  const done: Moved = { moved: [], stay: [] };
  let unreached: string | null = null;
  for (const [lease, problem] of server.moves.problems()) {
    const went: unknown = problem ?? unreached ?? (await moveOne(server, lease, to, at));
    if (went instanceof Unreached) unreached = went.message;
    const why = went === null || typeof went === "string" ? went : wordsOf(went);
    if (why === null) done.moved.push(lease);
    else done.stay.push({ lease, why });
  }
  return done;
}

/** What it failed of; null where the lease is there. */
async function moveOne({ moves }: Pick<XenoServer, "moves">, lease: string, to: string, at: HostPort): Promise<unknown> {
  try {
    const pipe = await connectForMove(at).catch((error: unknown) => Promise.reject(new Unreached(wordsOf(error))));
    await moves.give(lease, to, pipe);
    return null;
  } catch (error) {
    return error;
  }
}
