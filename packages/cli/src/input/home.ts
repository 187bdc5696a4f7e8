/** Where the command line keeps things, by the XDG rules; XENO_HOME puts all of it in one folder. Files with keys are 0600. */
import { appendFileSync, mkdirSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { zMarketInfo } from "@xenoservers/protocol/link";
import { MarketClient, identityOf } from "@xenoservers/sdk";
import type { MarketPins } from "@xenoservers/verify";
import envPaths from "env-paths";
import { z } from "zod";
import { UserError } from "../output/ui.ts";

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
  pins: z.strictObject({ origin: z.string(), keys: zMarketInfo.shape.keys }),
  currency: z.string(),
  party: z.string(),
  account: z.string(),
  role: z.string(),
  seed: z.string().regex(/^[0-9a-f]{64}$/),
  /** Pinned at login: whose cosignatures on the log count. */
  witnesses: z.array(z.strictObject({ name: z.string(), key: z.string().regex(/^[0-9a-f]{64}$/) })).optional(),
});
export type Context = z.infer<typeof zContext>;
const zContexts = z.strictObject({ current: z.string().nullable(), contexts: z.record(z.string(), zContext) });
export type Contexts = z.infer<typeof zContexts>;

/** Replaces a file at once, so that a crash leaves the old or the new one. */
export async function writePrivate(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.part`, text, { mode: 0o600 });
  await rename(`${file}.part`, file);
}

export async function readContexts(file = home.contexts): Promise<Contexts> {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) return { current: null, contexts: {} };
  const parsed = zContexts.safeParse(JSON.parse(text));
  if (!parsed.success) throw new UserError(`${file} is damaged (${parsed.error.issues[0]?.path.join(".")}); restore it from \`xeno key backup\``);
  return parsed.data;
}

export async function saveContext(name: string, context: Context, file = home.contexts): Promise<void> {
  const all = await readContexts(file);
  all.contexts[name] = context;
  all.current = name;
  await writePrivate(file, JSON.stringify(all, null, 1));
}

export async function currentContext(): Promise<{ name: string; context: Context }> {
  const { current, contexts } = await readContexts();
  const name = process.env["XENO_CONTEXT"] ?? current;
  const context = name === null ? undefined : contexts[name];
  if (name === null || !context)
    throw new UserError(name === null ? "no market yet: run `xeno login URL` first" : `no context is called ${name}; see \`xeno context ls\``);
  return { name, context };
}

/** The broker's word for every document that was sent from here, a line each. */
export const promisesFile = (): string => path.join(home.data, "promises.jsonl");

export function clientOf({ url, pins, seed, party, account }: Context): MarketClient {
  const client = new MarketClient(url, pins as MarketPins, identityOf(Buffer.from(seed, "hex"), party, account));
  client.onPromise = (promise) => {
    mkdirSync(home.data, { recursive: true, mode: 0o700 });
    appendFileSync(promisesFile(), `${JSON.stringify(promise)}\n`, { mode: 0o600 });
  };
  return client;
}

export async function openClient(): Promise<{ client: MarketClient; context: Context }> {
  const { context } = await currentContext();
  return { client: clientOf(context), context };
}
