/** The client of whoever uses this command line; what cannot be kept here is told on stderr. */
import type { Scope } from "@xenoservers/market";
import { clientFor, clientOf as clientIn, currentContext, type Context, type Known, type MarketClient } from "@xenoservers/sdk";
import { say, yellow } from "../output/terminal.ts";

const warn = (text: string): void => say(yellow(text));

let onCall: MarketClient["onCall"] = () => {};
/** Every client from now on tells of each call before it makes it. */
export function watchCalls(told: MarketClient["onCall"]): void {
  onCall = told;
}

/** A broker that hangs is not waited for without a word. */
const onSlow = (broker: string): void => warn(`the broker at ${broker} has not answered for a while: it is asked again (Ctrl-C ends that)`);

/** Has what it calls told, and what nobody answers. */
export const watched = (client: MarketClient): MarketClient => Object.assign(client, { onCall, onSlow });

/** The same of a client that the library makes. */
export const watching = () => ({ onCall, onSlow, onWarning: warn });

export const clientOf = (context: Context): MarketClient => watched(clientIn(context, warn));

/** `needs`: what the verb's key must be granted; said before anything is sent. */
export async function openClient(...needs: Scope[]): Promise<Known & { client: MarketClient }> {
  const known = await currentContext();
  return { ...known, client: watched(clientFor(known, needs, warn)) };
}

/** Of whoever only looks. */
export const clientThatReads = async (): Promise<MarketClient> => (await openClient("read")).client;
