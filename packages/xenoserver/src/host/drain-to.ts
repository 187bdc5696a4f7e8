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

/** `ID@HOST:PORT` is in `target`. A lease that cannot leave now stays, and the next is tried. */
export async function moveAll(server: Pick<XenoServer, "moves">, { server: to, ...at }: MoveTarget): Promise<Moved> {
  const done: Moved = { moved: [], stay: [] };
  for (const [lease, problem] of server.moves.problems()) {
    const why = problem ?? (await moveOne(server, lease, to, at));
    if (why === null) done.moved.push(lease);
    else done.stay.push({ lease, why });
  }
  return done;
}

async function moveOne({ moves }: Pick<XenoServer, "moves">, lease: string, to: string, at: HostPort): Promise<string | null> {
  try {
    await moves.give(lease, to, await connectForMove(at));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
