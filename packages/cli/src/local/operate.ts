/** The operator's own documents, signed with the key in the broker's folder. */
import type { Kind, Payload } from "@xenoservers/protocol";
import { MarketClient, RefusedError, currentContext, fetchMarket, identityOf, pinsOf } from "@xenoservers/sdk";
import { print } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";
import { brokerFolder } from "./broker-folder.ts";

/** Its key has no party: it signs what is the operator's alone. */
async function operatorOf(data: string | null) {
  const folder = brokerFolder(data);
  const { readBrokerKeys } = await import("@xenoservers/xenocorp");
  const { operator, origin } = await readBrokerKeys(folder);
  if (!operator) throw new UserError(`the operator's key is not in ${folder}`);
  return { operator, origin, folder };
}

const asOperator = (signer: Awaited<ReturnType<typeof operatorOf>>["operator"]) => ({ ...identityOf(new Uint8Array(32).fill(1)), signer });

/** A client of the broker at this address, as its operator. */
export async function operatorAt(url: string, data: string | null): Promise<MarketClient> {
  const { operator } = await operatorOf(data);
  return new MarketClient(url, pinsOf(await fetchMarket(url)), asOperator(operator));
}

/** A client of the current context's market, as its operator. */
export async function operatorHere(data: string | null): Promise<MarketClient> {
  const { context } = await currentContext();
  const { operator, origin, folder } = await operatorOf(data);
  if (origin !== context.pins.origin)
    throw new UserError(`the keys in ${folder} are of ${origin}, the current context is ${context.pins.origin}`);
  return new MarketClient(context.url, context.pins, asOperator(operator));
}

export async function operate<K extends Kind>(client: MarketClient, kind: K, own: Omit<Payload<K>, "origin" | "seen">): Promise<void> {
  const document = client.sign(kind, own);
  const answer = await client.submit(document.envelope);
  if (!answer.ok) throw new RefusedError(answer);
  print(answer.answer["id"] === document.id ? "done" : "done before; nothing was done again");
}
