/** A delegated key as one string for CI: bounded by what was granted, revocable, and a secret. */
import { zMarketInfo } from "@xenoservers/protocol/link";
import { z } from "zod";
import { UserError } from "../output/ui.ts";

const zCiToken = z.strictObject({
  url: z.string(),
  pins: z.strictObject({ origin: z.string(), keys: zMarketInfo.shape.keys }),
  party: z.string(),
  account: z.string(),
  seed: z.string().regex(/^[0-9a-f]{64}$/),
});
export type CiToken = z.infer<typeof zCiToken>;
const PREFIX = "xeno-ci-";

export const formatCiToken = (token: CiToken): string => PREFIX + Buffer.from(JSON.stringify(token)).toString("base64url");

export function parseCiToken(text: string): CiToken {
  try {
    if (text.startsWith(PREFIX)) return zCiToken.parse(JSON.parse(Buffer.from(text.slice(PREFIX.length), "base64url").toString("utf8")));
  } catch {
    // said below
  }
  throw new UserError("this is not a token; make one with `xeno token create`");
}
