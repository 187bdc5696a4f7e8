/** A receipt that comes in parts: what an honest broker gives holds, and what a cheat makes of its parts, or of the file, does not. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import {
  KeptError,
  ReceiptFile,
  RefusedError,
  fetchReceipt,
  isLongReceipt,
  keepParts,
  readDocuments,
  type MarketClient,
} from "@xenoservers/sdk";
import { refuse, toHex, type Receipt, type ReceiptDocument } from "@xenoservers/protocol";
import { nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { verifyReceipt, type ReceiptVerification } from "@xenoservers/verify";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Receipts } from "../../packages/xenocorp/src/http/receipts.ts";
import { LongLease } from "./long-lease.ts";

/** More than two parts of documents. */
const CLAIMS = 520;

let long: LongLease;
let whole: Receipt;
let folder: string;
let file: string;
let honest: MarketClient["read"];

beforeAll(async () => {
  long = await LongLease.open();
  await long.claim(CLAIMS);
  await long.settle();
  honest = long.client.read.bind(long.client);
  whole = await honest("receipt", { params: { id: long.lease } });
});
afterAll(() => long.close());
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-receipt-"));
  file = path.join(folder, "long.jsonl");
});
afterEach(async () => {
  long.client.read = honest;
  await rm(folder, { recursive: true });
});

const pins = () => long.world.services.market;
const kept = async (): Promise<ReceiptVerification> => {
  await keepParts(long.client, long.lease, file);
  return (await ReceiptFile.open(file)).verified(pins(), {});
};
const verified = async (): Promise<ReceiptVerification> => (await ReceiptFile.open(file)).verified(pins(), {});
const failedIn = ({ lines }: ReceiptVerification): string[] =>
  lines.filter(({ status }) => status === "failed").map(({ check, says }) => `${check}: ${says}`);

type Part = { part: Receipt; number: number; query: Record<string, unknown> };

/** The broker's parts, as it changes them. */
function shows(cheat: (asked: Part, read: (query: object) => Promise<Receipt>) => Receipt | Promise<Receipt>): void {
  let number = -1;
  const read = (query: object): Promise<Receipt> => honest("receipt", { params: { id: long.lease }, query }) as Promise<Receipt>;
  long.client.read = (async (...asked: Parameters<typeof honest>) => {
    const answer = await honest(...asked);
    if (asked[0] !== "receipt") return answer;
    number++;
    return cheat({ part: answer as unknown as Receipt, number, query: (asked[1]?.query ?? {}) as Record<string, unknown> }, read);
  }) as typeof honest;
}

const at = (part: Receipt, documents: ReceiptDocument[]): Receipt => ({ ...part, documents });

describe("a receipt in parts", () => {
  it("says what it says in one piece, and rests on the same", async () => {
    expect(whole.documents.length).toBeGreaterThan(2 * CLAIMS);
    const inParts = await kept();
    expect(failedIn(inParts)).toEqual([]);
    expect(inParts).toEqual(verifyReceipt(crypto, pins(), whole));
    expect(await isLongReceipt(file)).toBe(true);
    expect(await readdir(folder)).toEqual(["long.jsonl"]);
  });

  it("is under one checkpoint, though the log goes on meanwhile", async () => {
    shows(async ({ part, number }) => {
      if (number === 0) {
        await long.world.party();
        await long.logged();
      }
      return part;
    });
    expect(failedIn(await kept())).toEqual([]);
  });

  it("of a lease that runs holds what was said until it was read, and says what the log does not have yet", async () => {
    const running = await LongLease.open();
    await running.claim(260);
    await running.claim(1, false);
    await keepParts(running.client, running.lease, file);
    const { ok, lines } = await (await ReceiptFile.open(file)).verified(running.world.services.market, {});
    expect(ok).toBe(true);
    expect(lines.find(({ check }) => check === "log")?.says).toContain("2 not in the log yet: claim, claim-receipt");
    await running.close();
  });

  it("is told without its claims to whoever needs none", async () => {
    const documents = await readDocuments(long.client, long.lease);
    expect(documents.hasMore).toBe(true);
    expect(documents.documents.map(({ kind }) => kind)).toEqual(
      whole.documents.map(({ kind }) => kind).filter((kind) => kind !== "claim" && kind !== "claim-receipt"),
    );
  });

  it("comes to a page part by part, and is held there as one", async () => {
    const queries: object[] = [];
    shows(({ part, query }) => {
      queries.push(query);
      return part;
    });
    const receipt = await fetchReceipt(long.client, long.lease);
    expect(receipt.documents.map(({ id }) => id)).toEqual(whole.documents.map(({ id }) => id));
    expect(verifyReceipt(crypto, pins(), receipt)).toMatchObject({ ok: true });
    expect(queries.every((query) => "limit" in query)).toBe(true);
  });

  it("that is too long to be held is refused by the broker, in words", async () => {
    shows(({ part, query }) => {
      if (!("limit" in query)) throw new RefusedError(refuse("bad_request", { why: "it is too long" }));
      return { ...part, hasMore: true };
    });
    await expect(fetchReceipt(long.client, long.lease)).rejects.toThrow("it is too long");
  });

  it("is refused in one piece where that is too long, and named by no document of another lease", async () => {
    const receipts = new Receipts(long.world.services);
    expect(await receipts.of(await long.world.row(long.lease), whole.documents.length)).not.toBeNull();
    expect(await receipts.of(await long.world.row(long.lease), whole.documents.length - 1)).toBeNull();
    const asked = (query: object) => honest("receipt", { params: { id: long.lease }, query });
    await expect(asked({ limit: 10, after: whole.leaves[0]!.id })).rejects.toMatchObject({ code: "not_found" });
    await expect(asked({ limit: 10, size: whole.size + 1_000_000 })).rejects.toMatchObject({ code: "conflict" });
  });
});

describe("a broker whose parts are none of a receipt", () => {
  const first = (part: Receipt): ReceiptDocument => part.documents[0]!;
  const last = (part: Receipt): ReceiptDocument => part.documents.at(-1)!;
  const CHEATS: [string, Parameters<typeof shows>[0]][] = [
    [
      "gives the same part for ever",
      async ({ part, number }, read) => (number === 0 ? part : { ...(await read({ limit: 500 })), hasMore: true }),
    ],
    [
      "says the last of a part again in the next",
      ({ part, number }) => (number === 1 ? at(part, [whole.documents[499]!, ...part.documents]) : part),
    ],
    [
      "says a document of the first part in the second",
      ({ part, number }) => (number === 1 ? at(part, [...part.documents, whole.documents[7]!]) : part),
    ],
    [
      "changes the order of two at a border",
      ({ part, number }) => {
        if (number === 0) return at(part, part.documents.with(part.documents.length - 1, whole.documents[500]!));
        return number === 1 ? at(part, part.documents.with(0, whole.documents[499]!)) : part;
      },
    ],
    ["turns a part round", ({ part, number }) => (number === 1 ? at(part, part.documents.toReversed()) : part)],
    ["gives empty parts, and more to come", ({ part, number }) => (number > 0 ? { ...part, documents: [], hasMore: true } : part)],
    ["gives the receipt of another lease in the middle", ({ part, number }) => (number === 1 ? { ...part, lease: "ab".repeat(32) } : part)],
    ["proves each part under another size of the log", ({ part, number }) => (number === 1 ? { ...part, size: part.size - 1 } : part)],
    [
      "begins its log anew with each part",
      ({ part, number }) => (number % 2 === 1 ? { ...part, checkpoint: `other\n${part.checkpoint}` } : part),
    ],
    [
      "places a document outside the log's size",
      ({ part, number }) => (number === 1 ? at(part, part.documents.with(3, { ...part.documents[3]!, index: part.size })) : part),
    ],
    [
      "has a document wait before one that is in the log",
      ({ part, number }) => (number === 1 ? at(part, part.documents.with(0, { ...first(part), index: null, proof: [] })) : part),
    ],
    [
      "has documents that are longer than any is",
      ({ part, number }) => {
        const payload = "A".repeat(80_000);
        const each = (document: ReceiptDocument): ReceiptDocument => ({ ...document, envelope: { ...document.envelope, payload } });
        return number < 4 ? { ...part, documents: [...part.documents, ...Array.from({ length: 900 }, () => last(part))].map(each) } : part;
      },
    ],
  ];

  const TOO_LONG: [string, Parameters<typeof shows>[0]][] = [
    ["a checkpoint", ({ part }) => ({ ...part, checkpoint: `${part.checkpoint}${"x".repeat(300_000)}` })],
    ["a document", ({ part }) => at(part, part.documents.with(9, { ...part.documents[9]!, proof: ["ab".repeat(200_000)] }))],
  ];

  it.each([...CHEATS, ...TOO_LONG])("%s: is told so, and nothing of it stays", async (_, cheat) => {
    shows(cheat);
    await expect(kept()).rejects.toMatchObject({ code: "broken_word" });
    expect(await readdir(folder)).toEqual([]);
  });

  const LIES: [string, Parameters<typeof shows>[0]][] = [
    ["leaves out the first of a part", ({ part, number }) => (number === 1 ? at(part, part.documents.slice(1)) : part)],
    [
      "leaves out a claim and its receipt over a border",
      ({ part, number }) => {
        // the next part begins after the last that was told: with what was left out here
        if (number === 0) return at(part, part.documents.slice(0, -1));
        return number === 1 ? at(part, part.documents.slice(2)) : part;
      },
    ],
    [
      "leaves out a part",
      async ({ part, number }, read) =>
        number === 0
          ? { ...(await read({ limit: 500 })), documents: part.documents }
          : read({ limit: 500, after: whole.documents[999]!.id, size: part.size }),
    ],
    [
      "gives one document another's place and proof",
      ({ part, number }) => {
        const { proof, salt, leaf } = whole.documents[3]!;
        return number === 1 ? at(part, part.documents.with(5, { ...part.documents[5]!, proof, salt, leaf })) : part;
      },
    ],
    [
      "gives a document another time",
      ({ part, number }) => (number === 1 ? at(part, part.documents.with(5, { ...part.documents[5]!, at: 5 })) : part),
    ],
    [
      "leaves out who granted the server its key",
      ({ part }) => ({ ...part, leaves: part.leaves.filter(({ kind }) => kind !== "key-grant") }),
    ],
  ];

  it.each(LIES)("%s: its receipt does not hold", async (_, cheat) => {
    shows(cheat);
    const { ok, lines } = await kept();
    expect(ok).toBe(false);
    for (const check of ["use", "bill"]) expect(lines.find((line) => line.check === check)?.status ?? "failed").toBe("failed");
  });

  it("ends before its end: of what came later it says nothing, as one that was read earlier", async () => {
    shows(({ part, number }) => (number === 1 ? { ...part, hasMore: false, documents: part.documents.slice(0, -100) } : part));
    const { lines } = await kept();
    expect(lines.find(({ check }) => check === "bill")).toMatchObject({ status: "claimed", says: "the lease is not settled yet" });
    expect(await (await ReceiptFile.open(file)).end()).toMatchObject({ isSettled: false });
  });

  it("begins its log anew once: it is asked from the first part again", async () => {
    shows(({ part, number }) => (number === 1 ? { ...part, checkpoint: `other\n${part.checkpoint}` } : part));
    expect(failedIn(await kept())).toEqual([]);
  });

  it.each(["conflict", "not_found"] as const)(
    "has lost what it showed of its log (%s): it is asked from the first part again",
    async (code) => {
      shows(({ part, number }) => {
        if (number === 1) throw new RefusedError(refuse(code));
        return part;
      });
      expect(failedIn(await kept())).toEqual([]);
      expect(await readdir(folder)).toEqual(["long.jsonl"]);
    },
  );

  it("answers no more half-way: that is said, and what came is no receipt", async () => {
    shows(({ part, number }) => {
      if (number > 0) throw new RefusedError(refuse("unavailable", { why: "no answer" }));
      return part;
    });
    await expect(kept()).rejects.toMatchObject({ code: "unavailable" });
    expect((await readdir(folder)).toSorted()).toEqual(["long.jsonl.leaves", "long.jsonl.part"]);
  });
});

it("that the disk has no room for is said so, and nothing of it stays", async () => {
  const { client, seed, lease } = long;
  const { party, account } = client.identity;
  const asked = path.join(folder, "asked");
  await writeFile(asked, JSON.stringify({ url: client.url, pins: pins(), seed: toHex(seed), party, account, lease }));
  const disk = path.join(folder, "disk");
  await mkdir(disk);
  const script = 'mount -t tmpfs -o size=512k tmpfs "$1" && "$2" "$3" "$4" "$1/receipt.jsonl"; ls -A "$1"';
  const mounts = ["--mount", ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"])];
  const program = path.join(import.meta.dirname, "read-long.ts");
  // asynchronous: this process is its broker
  const { stdout, stderr } = await promisify(execFile)("unshare", [
    ...mounts,
    "sh",
    "-c",
    script,
    "sh",
    disk,
    process.execPath,
    program,
    asked,
  ]);
  expect(stderr).toContain("the disk has no room for the receipt of lease");
  expect(stdout).toBe("");
});

it("is not what the disk is filled with", async () => {
  await expect(keepParts(long.client, long.lease, file, { room: async () => 100_000 })).rejects.toBeInstanceOf(KeptError);
  expect(await readdir(folder)).toEqual([]);
});

describe("a file", () => {
  let lines: string[];
  beforeEach(async () => {
    await keepParts(long.client, long.lease, file);
    lines = (await readFile(file, "utf8")).trimEnd().split("\n");
  });
  const holds = async (changed: readonly string[], end = "\n"): Promise<string[]> => {
    await writeFile(file, changed.join("\n") + end);
    const said = await verified();
    expect(said.ok).toBe(false);
    return failedIn(said);
  };

  it("that is cut off anywhere is not whole, and none of its money is proved", async () => {
    const text = await readFile(file);
    for (const part of [0.2, 0.5, 0.9, 0.999]) {
      await writeFile(file, text.subarray(0, Math.floor(text.length * part)));
      const said = await verified();
      expect(failedIn(said)).toEqual(["file: it is not whole: what a receipt ends with is missing"]);
      expect(said.lines).toHaveLength(1);
    }
    expect(await holds(lines, "")).toEqual(["file: it is not whole: what a receipt ends with is missing"]);
    await writeFile(file, `${lines[0]}\n`);
    expect((await verified()).ok).toBe(false);
  });

  it("holds as many documents as it says, each once, in their order", async () => {
    expect(await holds(lines.toSpliced(500, 1))).not.toEqual([]);
    expect(await holds([...lines.slice(0, 500), lines.at(-1)!])).not.toEqual([]);
    expect(await holds(lines.toSpliced(500, 0, lines[499]!))).toEqual(["file: it holds more documents than it says"]);
    const end = JSON.parse(lines.at(-1)!) as { documents: number };
    const counted = (count: number): string => JSON.stringify({ ...end, documents: count });
    expect(await holds([...lines.slice(0, -1).toSpliced(500, 1), counted(end.documents - 1)])).not.toEqual([]);
    expect(await holds([...lines.slice(0, -1).toSpliced(500, 0, lines[499]!), counted(end.documents + 1)])).not.toEqual([]);
    expect(await holds(lines.with(500, lines[501]!).with(501, lines[500]!))).toEqual([
      "file: its documents do not stand in the order of the log",
    ]);
    expect(await holds([...lines, lines.at(-1)!])).not.toEqual([]);
  });

  it("has lines that are documents", async () => {
    for (const line of ["", "null", "[]", "{", '{"kind":"claim"}', "x".repeat(300_000), `"${"y".repeat(300_000)}"`])
      expect((await holds(lines.with(400, line)))[0]).toMatch(/^file: (this is not a receipt: documents\.399|a line of it is longer)/);
    expect(await holds(lines.with(lines.length - 1, "{}"))).toEqual(["file: it is not whole: what a receipt ends with is missing"]);
    await writeFile(file, "x".repeat(40 * 1024 * 1024));
    expect(await isLongReceipt(file)).toBe(false);
    await expect(ReceiptFile.open(file)).rejects.toMatchObject({ code: "bad_input" });
  });

  it("of any other bit is another receipt", async () => {
    const text = await readFile(file);
    for (let i = 0; i < 12; i++) {
      const place = Math.floor(((i + 0.5) / 12) * text.length);
      const changed = Buffer.from(text);
      changed.writeUInt8(text.readUInt8(place) ^ 1, place);
      await writeFile(file, changed);
      expect((await verified()).ok, `byte ${place}`).toBe(false);
    }
  });
});
