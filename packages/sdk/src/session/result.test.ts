/** What a cheating server may say of the bytes that it signed. */
import { expect, it } from "vitest";
import { canonicalBytes, toHex, type Payload } from "@xenoservers/protocol";
import { nodeCrypto as crypto } from "@xenoservers/protocol/node";
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { MarketClient } from "../client.ts";
import { bytesProblem } from "./result.ts";
import type { Streams } from "./streams.ts";

const client = { crypto } as unknown as MarketClient;
const streams = { difference: () => null } as unknown as Streams;
const FILE: InputEntry = { path: "a", kind: "file", digest: "ab".repeat(32), size: 0 };
const result = { outputDigest: toHex(crypto.sha256(canonicalBytes([FILE]))) } as unknown as Payload<"result">;

it("refuses a list in which one file has two sizes, whatever was signed", () => {
  const tree: InputEntry[] = [FILE, { ...FILE, path: "b", size: 3 }];
  const signed = { outputDigest: toHex(crypto.sha256(canonicalBytes(tree))) } as unknown as Payload<"result">;
  expect(bytesProblem(client, signed, tree, streams)).toContain("two sizes");
});

it("takes the list of files that was signed, and refuses each other one in words", () => {
  expect(bytesProblem(client, result, [FILE], streams)).toBeNull();
  // JSON says each of these, the channel's schema lets them through, and nobody can sign them
  const unsigned: InputEntry[] = [
    { ...FILE, size: -0 },
    { ...FILE, path: "\ud800" },
    { path: "l", kind: "link", target: "\udfff" },
  ];
  for (const entry of [{ ...FILE, size: 1 }, ...unsigned]) expect(bytesProblem(client, result, [entry], streams)).toContain("not the one");
});
