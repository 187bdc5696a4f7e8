/** The broker's keys and the operator's, in one file that only its user can read. */
import { randomBytes } from "node:crypto";
import path from "node:path";
import { createSigner } from "@xenoservers/protocol/node";
import { jsonIn, type MarketPins, type Signer } from "@xenoservers/protocol";
import { readIfThere, writeNew } from "@xenoservers/protocol/files";
import { z } from "zod";
import type { BrokerKeys } from "./config.ts";

const zSeed = z.string().regex(/^[0-9a-f]{64}$/);
const zFile = z.strictObject({
  origin: z.string(),
  purchaseOrders: zSeed,
  checkpoints: zSeed,
  receipts: zSeed,
  secret: zSeed,
  operator: zSeed.nullable(),
});

export interface LoadedKeys {
  origin: string;
  keys: BrokerKeys;
  /** Present where the operator works on this machine; a careful operator keeps it elsewhere. */
  operator: Signer | null;
}

const signer = (seed: string): Signer => createSigner(Buffer.from(seed, "hex"));
const seed = (): string => randomBytes(32).toString("hex");

/** Its keys in a broker's data folder. */
export const keysFile = (dataFolder: string): string => path.join(dataFolder, "broker-keys.json");

export const publicKeysOf = ({ purchaseOrders, checkpoints, receipts }: BrokerKeys): MarketPins["keys"] => ({
  purchaseOrders: purchaseOrders.publicKey,
  checkpoints: checkpoints.publicKey,
  receipts: receipts.publicKey,
});

const loaded = (content: z.infer<typeof zFile>): LoadedKeys => ({
  origin: content.origin,
  keys: {
    purchaseOrders: signer(content.purchaseOrders),
    checkpoints: signer(content.checkpoints),
    receipts: signer(content.receipts),
    secret: Buffer.from(content.secret, "hex"),
  },
  operator: content.operator === null ? null : signer(content.operator),
});

/** The keys in a file; null where there is no such file. */
export async function brokerKeysIn(file: string): Promise<LoadedKeys | null> {
  const text = await readIfThere(file);
  if (text === null) return null;
  const parsed = zFile.safeParse(jsonIn(text));
  if (parsed.success) return loaded(parsed.data);
  const at = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new Error(
    `${file} does not hold the broker's keys as this xeno knows them${at && ` (${at})`}: upgrade, put back your copy of it, ` +
      "or `xeno broker restore` a backup",
  );
}

/** The keys in a broker's folder. Makes none. */
export async function readBrokerKeys(dataFolder: string): Promise<LoadedKeys> {
  const keys = await brokerKeysIn(keysFile(dataFolder));
  if (keys === null)
    throw new Error(
      `there are no broker's keys in ${dataFolder}: name its data folder (--data), or put back your copy of broker-keys.json`,
    );
  return keys;
}

/** New keys in a new file, for a market that has not begun. */
export async function makeBrokerKeys(file: string, originName: string): Promise<LoadedKeys> {
  const checkpoints = seed();
  const content = {
    origin: `${originName}/${signer(checkpoints).publicKey.slice(0, 12)}`,
    purchaseOrders: seed(),
    checkpoints,
    receipts: seed(),
    secret: seed(),
    operator: seed(),
  };
  await writeNew(file, JSON.stringify(content, null, 1));
  return loaded(content);
}
