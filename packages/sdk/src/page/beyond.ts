/** What a page's market does beyond one lease at a time: nothing, and it says so. */
import type { Beyond } from "../facade/beyond.ts";
import { notHere } from "./not-here.ts";

export const NOTHING_BEYOND: Beyond = {
  map: () => {
    throw notHere("map");
  },
  replicas: () => Promise.reject(notHere("replicas")),
  // it stays due, and is followed up from elsewhere
  followUp: async (_client, drawn) => ({ ...drawn, undone: notHere("an audit").message }),
  audit: () => Promise.reject(notHere("audit")),
  dispute: () => Promise.reject(notHere("dispute")),
  earlier: async () => null,
};
