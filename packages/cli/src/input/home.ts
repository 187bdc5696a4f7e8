/** Where the command line keeps things, by the XDG rules; XENO_HOME puts all of it in one folder. Files with keys are 0600. */
import path from "node:path";
import { KEY_ROLES, SCOPES, type Scope } from "@xenoservers/market";
import { jsonIn, zAccount, zParty, zPins } from "@xenoservers/protocol";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { MarketClient, identityOf, type Filed } from "@xenoservers/sdk";
import envPaths from "env-paths";
import { z } from "zod";
import { say, yellow } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";
import { zSeed } from "./ci-token.ts";
import { keepDocument } from "./kept-documents.ts";
import { keepPromise } from "./kept-promises.ts";

const standard = envPaths("xeno", { suffix: "" });
const own = (name: string, otherwise: string): string => (process.env["XENO_HOME"] ? path.join(process.env["XENO_HOME"], name) : otherwise);

export const home = {
  get contexts(): string {
    return path.join(own("config", standard.config), "contexts.json");
  },
  get receipts(): string {
    return path.join(own("receipts", path.join(standard.data, "receipts")));
  },
  get data(): string {
    return own("data", standard.data);
  },
};

const zContext = z.strictObject({
  url: z.string(),
  pins: zPins,
  currency: z.string(),
  party: zParty,
  /** That orders are paid from unless another is named. */
  account: zAccount,
  role: z.enum(KEY_ROLES),
  /** What its key was granted, for words before the market refuses; the market decides. */
  scopes: z.array(z.enum(SCOPES)),
  /** What the key is for, as its owner called it. */
  label: z.string(),
  /** The only label of leases that the key acts on; null: any. */
  leaseLabel: z.string().nullable(),
  seed: zSeed,
  /** Of root keys that this one took the place of: what opens the channels, and the sealed results, of leases that they ordered. */
  formerChannelSecrets: z.array(zSeed).optional(),
  /** Pinned at login: whose cosignatures on the log count. */
  witnesses: z.array(z.strictObject({ name: z.string(), key: z.string().regex(/^[0-9a-f]{64}$/) })).optional(),
});
export type Context = z.infer<typeof zContext>;
const zContexts = z.strictObject({ current: z.string().nullable(), contexts: z.record(z.string(), zContext) });
type Contexts = z.infer<typeof zContexts>;

export async function readContexts(file = home.contexts): Promise<Contexts> {
  const text = await readIfThere(file);
  if (text === null) return { current: null, contexts: {} };
  const parsed = zContexts.safeParse(jsonIn(text));
  if (parsed.success) return parsed.data;
  const at = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new UserError(
    `${file} is damaged${at === "" ? "" : ` (${at})`}, or was written by a newer xeno: upgrade, or restore it from a backup ` +
      "(`xeno key backup`), or put it aside and log in again",
  );
}

/** And makes it the current one, or `current`. */
export async function saveContext(
  name: string,
  context: Context,
  { current = name, file = home.contexts }: { current?: string; file?: string } = {},
): Promise<void> {
  const all = await readContexts(file);
  await writeWhole(file, JSON.stringify({ current, contexts: { ...all.contexts, [name]: context } }, null, 1));
}

/** Removes one, and makes another the current. */
export async function dropContext(name: string, current: string, file = home.contexts): Promise<void> {
  const { contexts } = await readContexts(file);
  const kept = Object.fromEntries(Object.entries(contexts).filter(([each]) => each !== name));
  await writeWhole(file, JSON.stringify({ current, contexts: kept }, null, 1));
}

export async function currentContext(): Promise<{ name: string; context: Context }> {
  const { current, contexts } = await readContexts();
  const name = process.env["XENO_CONTEXT"] ?? current;
  const context = name === null ? undefined : contexts[name];
  if (name === null || !context)
    throw new UserError(
      name === null ? "no market yet: run `xeno login URL` first" : `no context is called ${name}; see \`xeno context ls\``,
    );
  return { name, context };
}

/** A full disk undoes nothing that the broker took: whoever sent it goes on. */
function keepFiled(filed: Filed): void {
  try {
    keepPromise(home.data, filed.promise);
    keepDocument(home.data, filed);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    say(yellow(`the broker took the ${filed.document.kind}; it could not be kept here, so no check will miss it: ${why}`));
  }
}

export function clientOf({
  url,
  pins,
  seed,
  party,
  account,
  scopes,
  leaseLabel,
  formerChannelSecrets: former = [],
}: Context): MarketClient {
  const formerChannelSecrets = former.map((each) => Buffer.from(each, "hex"));
  const identity = identityOf(Buffer.from(seed, "hex"), { party, account, scopes, leaseLabel, formerChannelSecrets });
  const client = new MarketClient(url, pins, identity);
  client.onFiled = keepFiled;
  return client;
}

/** Why this context's key does not do what is wanted, in words; null where it does. */
export function scopeProblem(name: string, { scopes, role }: Context, needs: readonly Scope[]): string | null {
  const missing = needs.filter((scope) => !scopes.includes(scope));
  if (missing.length === 0) return null;
  const only = `this takes a key that may ${missing.join(" and ")}; the ${role} key of the context ${name} may only ${scopes.join(", ")}`;
  const other = missing.includes("manage") ? "the root key can" : "the root key's owner can grant one: xeno token create --scopes …";
  return `${only}. Use another context (xeno context use NAME); ${other}`;
}

/** `needs`: what the verb's key must be granted; said before anything is sent. */
export async function openClient(...needs: Scope[]): Promise<{ client: MarketClient; context: Context }> {
  const { name, context } = await currentContext();
  const problem = scopeProblem(name, context, needs);
  if (problem !== null) throw new UserError(problem);
  return { client: clientOf(context), context };
}
