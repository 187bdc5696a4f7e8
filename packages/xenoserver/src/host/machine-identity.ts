/** Who a machine is in its market: its own key and channel key, its owner's party, and the market's keys, pinned at enrolment. */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { API, Addresses, jsonIn, parseEnrolToken, signDocument, zPins, type Envelope } from "@xenoservers/protocol";
import { readIfThere, writeNew } from "@xenoservers/protocol/files";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { z } from "zod";

const zHex32 = z.string().regex(/^[0-9a-f]{64}$/);
const zIdentity = z.strictObject({ url: z.string(), pins: zPins, owner: z.string(), seed: zHex32, channelSecret: zHex32 });
export type ServerIdentity = z.infer<typeof zIdentity>;

const zRefused = z.object({ error: z.object({ code: z.string(), says: z.string() }) });
const MEND = "use that one, or put back your copy of it, or move it away and enrol this machine anew";
const identityFile = (folder: string): string => path.join(folder, "server-identity.json");

export async function readIdentity(folder: string): Promise<ServerIdentity | null> {
  const text = await readIfThere(identityFile(folder));
  if (text === null) return null;
  const parsed = zIdentity.safeParse(jsonIn(text));
  if (parsed.success) return parsed.data;
  throw new Error(`${identityFile(folder)} is damaged, or was written by another version of xeno: ${MEND}`);
}

/** Makes this machine's own key and has the token's one-time key grant it. The machine never holds a key that can pay out. */
export async function enrol(folder: string, tokenText: string, label: string): Promise<ServerIdentity> {
  const token = parseEnrolToken(tokenText);
  if (!token) throw new Error("this is not an enrolment token; make one with `xeno token create --server`");
  const seed = randomBytes(32);
  const grant = signDocument(nodeCrypto, createSigner(Buffer.from(token.seed, "hex")), "key-grant", {
    ...{ origin: token.pins.origin, seen: null, party: token.party, key: createSigner(seed).publicKey, role: "server", label },
    ...{ scopes: ["serve", "dispute", "read"], account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null },
  });
  const { url, pins, party: owner } = token;
  const identity: ServerIdentity = { url, pins, owner, seed: seed.toString("hex"), channelSecret: randomBytes(32).toString("hex") };
  await writeNew(identityFile(folder), JSON.stringify(identity, null, 1)).catch((cause: NodeJS.ErrnoException) => {
    throw cause.code === "EEXIST" ? new Error(`this machine is enrolled already (${identityFile(folder)})`, { cause }) : cause;
  });
  try {
    await grantBy(url, grant.envelope);
  } catch (error) {
    // the market may know this key where its answer was lost: the token is used up then, and another one enrols another key
    await rm(identityFile(folder));
    throw error;
  }
  return identity;
}

const WHY: Readonly<Record<string, string>> = {
  key_revoked: "this token was used already, and each works once; make another with `xeno token create --server`",
  unknown_key: "that market knows no such token; make one there with `xeno token create --server`",
  key_expired: "this token's time is over; make another with `xeno token create --server`",
};

async function grantBy(url: string, envelope: Envelope): Promise<void> {
  const said = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ envelope }),
  };
  const response = await new Addresses(url)
    .first((address) => fetch(new URL(API.submit.path, address), said))
    .catch((cause: unknown) => {
      throw new Error(`no broker answers at ${url}, and this machine is not enrolled: is it running, and is it reached from here?`, {
        cause,
      });
    });
  if (response.ok) return;
  const refused = zRefused.safeParse(await response.json().catch(() => null));
  const { code, says } = refused.success ? refused.data.error : { code: String(response.status), says: "" };
  throw new Error(`the broker refused the enrolment: ${code}: ${WHY[code] ?? says}`);
}
