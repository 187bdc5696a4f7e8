/**
 * A purchase order that the broker signed and that does not follow from what was ordered: kept as it came, so that others can look at it.
 */
import path from "node:path";
import { zPins, type MarketPins } from "@xenoservers/protocol";
import { writeWhole } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { checkPurchaseOrder, type Verification } from "@xenoservers/verify";
import * as z from "zod/mini";
import { worldOf, type BrokenPurchaseOrder } from "../purchase-order.ts";
import { currentContext } from "./contexts.ts";
import { home } from "./home.ts";

const FORMAT = "xenoservers-purchase-order-1";
const zKept = z.strictObject({
  format: z.literal(FORMAT),
  why: z.string(),
  market: z.nullable(zPins),
  purchaseOrder: z.unknown(),
  /** The public documents that give its signers' keys their roles. */
  grants: z.array(z.unknown()),
});

/** Returns the file. */
export async function keepBroken({ why, purchaseOrder, grants }: BrokenPurchaseOrder): Promise<string> {
  const known = await currentContext().catch(() => null);
  const file = path.join(home.data, "evidence", `purchase-order-${Date.now()}.json`);
  const kept = { format: FORMAT, why, market: known?.context.pins ?? null, purchaseOrder: purchaseOrder ?? null, grants };
  await writeWhole(file, JSON.stringify(kept, null, 1));
  return file;
}

/**
 * Whether a kept purchase order follows from what it embeds, checked anew; null where this is none. `pinned`: this machine's own pins go
 * before the file's.
 */
export function verifyKept(untrusted: unknown, pinned: MarketPins | null): Verification | null {
  const kept = zKept.safeParse(untrusted);
  const pins = pinned ?? kept.data?.market;
  if (!kept.success || !pins) return null;
  const world = worldOf(
    { crypto: nodeCrypto, pins },
    kept.data.grants.map((envelope) => ({ envelope })),
  );
  const checked = checkPurchaseOrder(world, kept.data.purchaseOrder);
  const says = checked.ok
    ? "it follows from the order, the offer and the fee that it embeds"
    : `its broker signed what does not hold: ${checked.why}`;
  // anyone can make the keys that a file brings
  const right = pinned ? "proved" : "claimed";
  const by = pinned ? "" : `; by keys that the file itself brings (operator key ${pins.operatorKey})`;
  return { ok: checked.ok, lines: [{ status: checked.ok ? right : "failed", check: "purchase order", says: `${says}${by}` }] };
}
