/** `xeno key add`: a key for another device, which speaks for the party in everything but its keys and its money out. */
import { randomBytes } from "node:crypto";
import { ROLE_SCOPES } from "@xenoservers/market";
import { createSigner } from "@xenoservers/protocol/node";
import { formatCiToken } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { KeyAddInput } from "../input/verbs/key.ts";
import { print, printJson, say } from "../output/terminal.ts";

export async function keyAdd({ label, json }: KeyAddInput): Promise<void> {
  const { client, context } = await openClient("manage");
  const seed = randomBytes(32);
  const key = createSigner(seed).publicKey;
  const { party } = client.identity;
  const granted = {
    party,
    role: "device" as const,
    label,
    scopes: [...ROLE_SCOPES.device],
    account: null,
    leaseLabel: null,
    expiresAt: null,
  };
  await client.act("key-grant", { ...granted, key, maxSpendPerDayNanos: null });
  const token = formatCiToken({ url: context.url, pins: context.pins, seed: seed.toString("hex"), key: granted });
  if (json) return printJson({ key, token });
  say(`a key for the device '${label}'; on it run: xeno login --token …`);
  print(token);
}
