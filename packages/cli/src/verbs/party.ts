/** Who one is: contexts, whoami, keys, tokens. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { parseMoney } from "@xenoservers/market";
import { formatEnrolToken } from "@xenoservers/protocol";
import { createSigner } from "@xenoservers/protocol/node";
import { identityOf } from "@xenoservers/sdk";
import { formatCiToken } from "../input/ci-token.ts";
import { currentContext, home, openClient, readContexts, saveContext, writePrivate } from "../input/home.ts";
import { parseDurationMs } from "../input/parse.ts";
import { UserError, money, print, printJson, say, shortId, table, when } from "../output/ui.ts";

interface Json {
  json?: boolean;
}

export async function contextList({ json }: Json): Promise<void> {
  const { current, contexts } = await readContexts();
  if (json)
    return printJson({ current, contexts: Object.fromEntries(Object.entries(contexts).map(([name, { url, party, role }]) => [name, { url, party, role }])) });
  table(
    ["", "context", "url", "party"],
    Object.entries(contexts).map(([name, { url, party }]) => [name === current ? "*" : "", name, url, party]),
  );
}

export async function contextUse(name: string): Promise<void> {
  const { contexts } = await readContexts();
  if (!contexts[name]) throw new UserError(`no context is called ${name}; there are: ${Object.keys(contexts).join(", ") || "none"}`);
  await saveContext(name, contexts[name]);
}

export async function whoami({ json }: Json): Promise<void> {
  const { client, context } = await openClient();
  const me = await client.read("whoami");
  if (json) return printJson(me);
  print(`${me.name}  ${me.party}${me.suspended ? "  SUSPENDED" : ""}`);
  print(`market  ${context.pins.origin} at ${context.url}`);
  table(
    ["key", "role", "label", "per day", "expires", "state"],
    me.keys.map((key) => [
      shortId(key.key),
      key.role,
      key.label,
      key.maxSpendPerDayNanos === null ? "" : money(key.maxSpendPerDayNanos),
      key.expiresAt === null ? "" : when(key.expiresAt),
      key.revokedAt === null ? (key.key === client.identity.signer.publicKey ? "this one" : "") : "revoked",
    ]),
  );
}

export async function keyAdd(label: string, { json }: Json): Promise<void> {
  const { client, context } = await openClient();
  const seed = randomBytes(32);
  const key = createSigner(seed).publicKey;
  await client.act("key-grant", { party: client.identity.party, key, role: "device", label, account: null, maxSpendPerDayNanos: null, expiresAt: null });
  const token = formatCiToken({ url: context.url, pins: context.pins, party: context.party, account: context.account, seed: seed.toString("hex") });
  if (json) return printJson({ key, token });
  say(`a key for the device '${label}'; on it run: xeno login --token …`);
  print(token);
}

export async function keyRotate({ json }: Json): Promise<void> {
  const { client, context } = await openClient();
  const { name } = await currentContext();
  const seed = randomBytes(32);
  const newRootKey = createSigner(seed).publicKey;
  await saveContext(`${name}.next`, { ...context, seed: seed.toString("hex") });
  await client.act("key-rotate", { party: client.identity.party, newRootKey, newRecoveryKey: null });
  await saveContext(name, { ...context, seed: seed.toString("hex") });
  const all = await readContexts();
  delete all.contexts[`${name}.next`];
  await writePrivate(home.contexts, JSON.stringify({ ...all, current: name }, null, 1));
  if (json) return printJson({ key: newRootKey });
  print(`the root key is now ${shortId(newRootKey)}; make a new backup: xeno key backup FILE`);
}

export async function keyRevoke(prefix: string, { reason }: { reason: string }): Promise<void> {
  const { client } = await openClient();
  const found = (await client.read("whoami")).keys.filter(({ key }) => key.startsWith(prefix));
  if (found.length !== 1) throw new UserError(found.length === 0 ? `no key starts with ${prefix}; see \`xeno whoami\`` : `${prefix} fits more than one key`);
  await client.act("key-revoke", { party: client.identity.party, key: found[0]!.key, reason });
  print(`${shortId(found[0]!.key)} (${found[0]!.label}) is revoked`);
}

export async function keyBackup(file: string): Promise<void> {
  await writePrivate(file, await readFile(home.contexts, "utf8"));
  print(`${file} holds all keys of this machine's contexts; whoever reads it is you`);
}

export interface TokenOptions extends Json {
  maxSpend?: string;
  expires?: string;
  label: string;
  server?: boolean;
}

export async function tokenCreate({ maxSpend, expires, label, server, json }: TokenOptions): Promise<void> {
  const { client, context } = await openClient();
  const seed = randomBytes(32);
  const perDay = maxSpend === undefined ? null : parseMoney(maxSpend);
  if (maxSpend !== undefined && perDay === null) throw new UserError(`--max-spend '${maxSpend}' is not an amount, write 2.50 (per day)`);
  if (!server && perDay === null) throw new UserError("say how much it may spend per day: --max-spend 2.50");
  const expiresAt = expires === undefined ? null : Date.now() + parseDurationMs(expires, "--expires");
  await client.act("key-grant", {
    party: client.identity.party,
    key: createSigner(seed).publicKey,
    role: server ? "enrol" : "ci",
    label,
    account: server ? null : context.account,
    maxSpendPerDayNanos: perDay?.toString() ?? null,
    expiresAt,
  });
  const token = server
    ? formatEnrolToken({ url: context.url, origin: context.pins.origin, keys: context.pins.keys, party: context.party, seed: seed.toString("hex") })
    : formatCiToken({ url: context.url, pins: context.pins, party: context.party, account: context.account, seed: seed.toString("hex") });
  if (json) return printJson({ token, key: identityOf(seed).signer.publicKey });
  say(server ? "works once; on the machine run: xeno serve --enrol TOKEN" : "a secret; use it with: xeno login --token TOKEN");
  print(token);
}
