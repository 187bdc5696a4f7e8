/**
 * A server that is to be large starts a small process with itself (starter.ts) that starts programs for it, and another where that one is
 * gone. Where there can be none it starts them itself, and says so once.
 */
import { messageOf } from "../thrown.ts";
import { startBy } from "./start.ts";
import { StarterLink } from "./starter-link.ts";

/** After one could not be started. */
const AGAIN_MS = 60_000;

/** How many want it. */
let wanted = 0;
let said: (why: string) => void = () => {};
/** Of what was said already. */
const told = { isNone: false, isUnreached: false };
let current: Promise<StarterLink | null> | null = null;
let notBefore = 0;

async function opened(): Promise<StarterLink | null> {
  try {
    return await StarterLink.open();
  } catch (error) {
    notBefore = performance.now() + AGAIN_MS;
    tellOnce("isNone", messageOf(error));
    return null;
  }
}

function tellOnce(what: keyof typeof told, why: string): void {
  if (!told[what]) said(why);
  told[what] = true;
}

async function starter(): Promise<StarterLink | null> {
  if (wanted === 0) return null;
  const asked = (current ??= opened());
  const link = await asked;
  if (link ? !link.isLost : performance.now() < notBefore) return link;
  // the first to see that has another one opened
  if (current === asked) current = opened();
  return current;
}

/**
 * From now on programs are started by a process of their own, until this is closed. `tell`: why they are not, once where there is no such
 * process, and once where there is one that this could not hand a program to.
 */
export function useStarter(tell: (why: string) => void): { close(): Promise<void> } {
  said = tell;
  wanted += 1;
  current ??= opened();
  startBy(starter, (why) => tellOnce("isUnreached", why));
  let isClosed = false;
  return {
    async close() {
      if (isClosed) return;
      isClosed = true;
      if (--wanted > 0) return;
      const asked = current;
      current = null;
      await (await asked)?.close();
    },
  };
}
