/** A file of a market's archive as a program reads it; spoiled ones are read by `xeno verify` in its test. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { cosign } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { expect, it } from "vitest";
import { retold } from "../../../../verify/src/testing/moves.ts";
import { storyOf } from "../../../../verify/src/testing/stories.ts";
import type { MarketClient } from "../../client.ts";
import { AbortedError, InputError } from "../../errors.ts";
import { beyond } from "../../facade/all-beyond.ts";
import { Market } from "../market.ts";
import type { CheckedReceipt } from "./checked.ts";

it("gives what holds of it before it says that the file is not whole", async () => {
  const story = storyOf({ crypto, createSigner }, "completed by interval", 7);
  const receipt = retold(story, {});
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-archive-"));
  const file = path.join(folder, "2026-11-w.ndjson.gz");
  const market = Market.of({ pins: story.cast.pins } as MarketClient);
  const read: CheckedReceipt[] = [];
  const readAll = async (): Promise<void> => {
    for await (const each of market.verifyArchive(file)) read.push(each);
  };
  await writeFile(file, gzipSync(`${JSON.stringify(receipt)}\n`));
  await readAll();
  expect(read).toMatchObject([{ lease: receipt.lease, ok: true, failed: [] }]);
  await writeFile(file, gzipSync(`${JSON.stringify(receipt)}\n{"cut":`));
  await expect(readAll()).rejects.toThrow(new InputError("its last line is cut off"));
  await expect(market.verifyArchive(file, { signal: AbortSignal.abort() }).next()).rejects.toThrow(AbortedError);
  expect(read).toHaveLength(2);
  await rm(folder, { recursive: true });
});

it("is held against the witnesses that were pinned, as each receipt is", async () => {
  const { cast, ...story } = storyOf({ crypto, createSigner }, "completed by interval", 7);
  const receipt = retold({ cast, ...story }, {});
  const signed = { ...receipt, checkpoint: receipt.checkpoint + cosign(crypto, cast.signers.witness, "one", receipt.checkpoint, 1) };
  const client = { pins: cast.pins, crypto, identity: { party: cast.customer } } as MarketClient;
  const here = { signedAbout: async () => [], keptReceipt: async () => signed } as unknown as ConstructorParameters<typeof Market>[1];
  const logLine = async (witnesses: { name: string; key: string }[]): Promise<string | undefined> =>
    (await new Market(client, here, beyond, witnesses).verify(signed)).lines.find(({ check }) => check === "log")?.status;
  expect(await logLine([])).toBe("claimed");
  expect(await logLine([{ name: "one", key: cast.key("witness") }])).toBe("proved");
});
