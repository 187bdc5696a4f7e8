/** What a page's market does beyond one lease at a time, where its author has loaded none of it: nothing, and it says so. */
import type { Beyond } from "../facade/beyond.ts";
import { notLoaded } from "./not-here.ts";

const refused = (what: string) => (): Promise<never> => Promise.reject(notLoaded(what));

export const NOTHING_BEYOND: Beyond = {
  map: () => {
    throw notLoaded("map");
  },
  replicas: refused("replicas"),
  // it stays due, and is followed up from elsewhere
  followUp: async (_client, drawn) => ({ ...drawn, undone: notLoaded("an audit").message }),
  audit: refused("audit"),
  dispute: refused("dispute"),
  earlier: async () => null,
};
