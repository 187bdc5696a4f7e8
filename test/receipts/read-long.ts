/** A customer's program: fetches a receipt, keeps it in a file and verifies it from there, and says how long each took and what it held. */
import { ReceiptFile, MarketClient, identityOf, keepParts } from "@xenoservers/sdk";
import { zPins } from "@xenoservers/protocol";
import { readFile, stat } from "node:fs/promises";
import * as z from "zod/mini";

const zAsked = z.object({ url: z.string(), pins: zPins, seed: z.string(), party: z.string(), account: z.string(), lease: z.string() });

const [asked = "", file = ""] = process.argv.slice(2);
const { url, pins, seed, party, account, lease } = zAsked.parse(JSON.parse(await readFile(asked, "utf8")));
const client = new MarketClient(url, pins, identityOf(Buffer.from(seed, "hex"), { party, account }));
const began = performance.now();
await keepParts(client, lease, file);
const kept = performance.now();
const receipt = await ReceiptFile.open(file);
const { ok, lines } = await receipt.verified(pins, { party });
const said = lines.map(({ check, status }) => `${check} ${status}`);
const { size } = await stat(file);
const figures = { keptMs: kept - began, verifiedMs: performance.now() - kept, bytes: size, rssKib: process.resourceUsage().maxRSS };
console.log(JSON.stringify({ ok, said, documents: (await receipt.end())?.documents, ...figures }));
