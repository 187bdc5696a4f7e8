/**
 * 100,000 forgeries of real receipts of every kind of end, by a broker with all its keys, its accomplices, a server, a customer and anyone at all: how many
 * lines say `proved` and are false, and how many honest receipts are refused. `npm test` plays the first few thousand of another seed.
 */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { playForgeries } from "../packages/verify/src/testing/forgeries.ts";
import { report, type Figure } from "./lib/report.ts";

const COUNT = 100_000;
const SEED = 20_260_101;

export async function forgeries(): Promise<Figure[]> {
  const start = performance.now();
  const { lies, refused, honest, stories, unharmed } = playForgeries({ crypto, createSigner }, { count: COUNT, seed: SEED });
  const ms = performance.now() - start;
  for (const each of [...lies, ...refused].slice(0, 10)) console.error(each);
  return [
    report(`forged receipts of ${stories} leases, ${COUNT} in all: lines that say proved and are false`, lies.length, "lines", null, 0),
    report(`honest receipts refused, of ${honest}`, refused.length, "receipts", null, 0),
    report("forged receipts in which nothing fails, for nothing in them is false", unharmed / COUNT, "share", null, null),
    report("a forgery made, verified and judged", ms / COUNT, "ms", null, null),
  ];
}
