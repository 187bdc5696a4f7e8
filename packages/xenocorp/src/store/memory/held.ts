/** What the database could not hold, the store in memory does not either: the same changes are refused by both. */
import type { Ledger } from "@xenoservers/market";
import type { Change } from "../store.ts";

const INT64_MAX = 2n ** 63n - 1n;
const isInt64 = (value: bigint): boolean => value >= -INT64_MAX - 1n && value <= INT64_MAX;
const hasTwice = (names: readonly string[]): boolean => new Set(names).size < names.length;
const isText = (text: string): boolean => !text.includes("\0") && text.isWellFormed();

function isTextThroughout(value: unknown): boolean {
  if (typeof value === "string") return isText(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.entries(value).every(([name, each]) => isText(name) && isTextThroughout(each));
}

/** Whether every balance that moves, and every step on the way there, is a number that the database has. */
function areMovesHeld({ floors, transfers }: Change, ledger: Ledger): boolean {
  const fresh = transfers.filter(({ id }) => !ledger.transferIds.has(id));
  const next = new Map<string, bigint>();
  const move = (key: string, amount: bigint): void => void next.set(key, (next.get(key) ?? ledger.balance(key)) + amount);
  for (const { debit, credit, amount } of fresh) {
    move(debit, -amount);
    move(credit, amount);
  }
  const bounds = floors.flatMap(({ floor }) => (floor === null ? [] : [floor]));
  return fresh.every(({ amount }) => amount > 0n && isInt64(amount)) && [...next.values(), ...bounds].every(isInt64);
}

/** Why a change cannot be held, in words; null: it can. */
export function unheld(change: Change, ledger: Ledger): string | null {
  const made = change.puts.filter(({ expect }) => expect === 0).map(({ kind, id }) => `${kind} ${id}`);
  const documents = change.documents.map(({ id }) => id);
  if ([change.uniques, made, documents].some(hasTwice)) return "it makes something twice";
  if (!isTextThroughout(change)) return "it holds text that is none";
  return areMovesHeld(change, ledger) ? null : "it moves what no balance can hold";
}
