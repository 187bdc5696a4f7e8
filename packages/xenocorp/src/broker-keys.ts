/** The broker's keys and the operator's, in one file that only its user can read. */
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createSigner } from "@xenoservers/protocol/node";
import { jsonIn, type Signer } from "@xenoservers/protocol";
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

/** Reads the keys, or makes them on the first start. */
export async function loadBrokerKeys(file: string, originName: string): Promise<LoadedKeys> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  let content: z.infer<typeof zFile>;
  if (text === null) {
    const checkpoints = seed();
    content = {
      origin: `${originName}/${signer(checkpoints).publicKey.slice(0, 12)}`,
      purchaseOrders: seed(),
      checkpoints,
      receipts: seed(),
      secret: seed(),
      operator: seed(),
    };
    await writeFile(file, JSON.stringify(content, null, 1), { mode: 0o600, flag: "wx" });
  } else {
    const parsed = zFile.safeParse(jsonIn(text));
    if (!parsed.success) {
      const at = parsed.error.issues[0]?.path.join(".") ?? "";
      throw new Error(
        `${file} does not hold the broker's keys${at && ` (${at})`}: put back your copy of it, or \`xeno broker restore\` a backup`,
      );
    }
    content = parsed.data;
  }
  return {
    origin: content.origin,
    keys: {
      purchaseOrders: signer(content.purchaseOrders),
      checkpoints: signer(content.checkpoints),
      receipts: signer(content.receipts),
      secret: Buffer.from(content.secret, "hex"),
    },
    operator: content.operator === null ? null : signer(content.operator),
  };
}
