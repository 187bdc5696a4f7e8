/**
 * What a market's evidence stands on, read from its broker and kept: a broker that is asked for it once it is accused may not answer. Who
 * controls the input: the broker; whoever checks the evidence checks its signatures.
 */
import path from "node:path";
import { API, zHistory, type MarketHistory } from "@xenoservers/protocol";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { fetchFrom } from "../fetch-from.ts";
import { home } from "./home.ts";

const NOTHING: MarketHistory = { keySets: [], epochs: [], witnesses: [] };
const TIMEOUT_MS = 10_000;

const fileOf = (origin: string): string => path.join(home.data, "history", `${encodeURIComponent(origin)}.json`);

async function read(url: string): Promise<MarketHistory | null> {
  const response = await fetchFrom(url, API.history.path, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => null);
  return zHistory.safeParse(await response?.json().catch(() => null)).data ?? null;
}

async function kept(origin: string): Promise<MarketHistory> {
  const text = (await readIfThere(fileOf(origin))) ?? "null";
  return zHistory.safeParse(JSON.parse(text)).data ?? NOTHING;
}

/** As the broker tells it now; as it was kept where it does not answer. */
export async function marketHistory(url: string, origin: string): Promise<MarketHistory> {
  const told = await read(url);
  if (told) await writeWhole(fileOf(origin), JSON.stringify(told));
  return told ?? kept(origin);
}
