/** A party's keys for people: what each may do, where, how much, until when. */
import { shortId, type KeyView } from "@xenoservers/sdk";
import { ahead, money, table } from "./ui.ts";

const hasExpired = ({ expiresAt }: KeyView): boolean => expiresAt !== null && expiresAt <= Date.now();

/** Whether it is one that may still say something. */
export const keyStands = (key: KeyView): boolean => key.revokedAt === null && !hasExpired(key);

const stateOf = (key: KeyView, own: string): string => {
  if (key.revokedAt !== null) return "revoked";
  if (hasExpired(key)) return "expired";
  return key.key === own ? "this one" : "";
};

/** Where it acts: an account, a label, or everywhere. */
const placeOf = ({ account, leaseLabel }: KeyView): string =>
  [account === null ? "" : `account ${account.slice(0, 12)}`, leaseLabel === null ? "" : `label ${leaseLabel}`]
    .filter((each) => each !== "")
    .join(", ");

export function keyTable(keys: readonly KeyView[], own: string, currency: string): void {
  table(
    ["key", "role", "label", "may", "only in", "per day", "expires", "state"],
    keys.map((key) => [
      ...[shortId(key.key), key.role, key.label, key.scopes.join(" "), placeOf(key)],
      key.maxSpendPerDayNanos === null ? "" : money(key.maxSpendPerDayNanos, currency),
      key.expiresAt === null ? "" : ahead(key.expiresAt, Date.now()),
      stateOf(key, own),
    ]),
  );
}
