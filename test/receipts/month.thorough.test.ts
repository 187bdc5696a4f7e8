/**
 * A lease of weeks: its receipt comes to a customer whose memory holds a small part of it, while the broker answers others. `XENO_CLAIMS`:
 * how many claims, of which a week has 60,480 and a month 259,200.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { toHex } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { LongLease } from "./long-lease.ts";

const CLAIMS = Number(process.env["XENO_CLAIMS"] ?? 12_000);
/** Of what a program holds of its own: a receipt of a day is larger, in a file alone. */
const HEAP_MIB = 64;
const NODE = new URL("../../node_modules/.bin/node", import.meta.url).pathname;

it("is read by a customer with little memory, while others are answered", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-month-"));
  const long = await LongLease.open();
  await long.claim(CLAIMS);
  await long.settle();
  const { client, seed, lease } = long;
  const asked = { url: client.url, pins: client.pins, seed: toHex(seed), lease };
  await writeFile(path.join(folder, "asked"), JSON.stringify({ ...asked, party: client.identity.party, account: client.identity.account }));
  const program = new URL("read-long.ts", import.meta.url).pathname;
  const rss = process.memoryUsage().rss;
  const reader = spawn(
    NODE,
    [`--max-old-space-size=${HEAP_MIB}`, program, path.join(folder, "asked"), path.join(folder, "receipt.jsonl")],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let said = "";
  reader.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = once(reader, "close");
  const waits: number[] = [];
  let rssMost = rss;
  while (reader.exitCode === null && reader.signalCode === null) {
    const from = performance.now();
    await client.read("market");
    waits.push(performance.now() - from);
    rssMost = Math.max(rssMost, process.memoryUsage().rss);
  }
  await ended;
  waits.sort((a, b) => a - b);
  const broker = { othersMs: { median: waits[waits.length >> 1], most: waits.at(-1) }, moreMib: (rssMost - rss) / 2 ** 20 };
  process.stdout.write(`${said.trim()} ${JSON.stringify(broker)}\n`);
  expect(JSON.parse(said)).toMatchObject({ ok: true });
  expect(JSON.parse(said)).toMatchObject({ documents: 2 * CLAIMS + 7 });
  await long.close();
  await rm(folder, { recursive: true });
});
