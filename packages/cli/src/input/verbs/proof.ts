import { parseDurationMs } from "@xenoservers/sdk";
import { leaseOrFileWord } from "../lease-words.ts";
import { flag, inputOf, json, rest, text, textOr, valueOr, word, type InputOf } from "../verb.ts";

export const verifyInput = inputOf(
  { leaseOrFile: leaseOrFileWord },
  {
    reExecute: flag("--re-execute", "run the job again here: proves the result right or wrong"),
    explain: flag("--explain", "per line: the documents it rests on, the rules, the numbers"),
    tamper: flag("--tamper", "change one byte first, to see which check fails"),
    operator: text("--operator <key>", "of evidence: the key of the market's operator, as it publishes it"),
    fingerprint: text(
      "--fingerprint <fingerprint>",
      "of the market, as its operator published it: checks a receipt's file without a login",
    ),
    json,
  },
);
export type VerifyInput = InputOf<typeof verifyInput>;
export const receiptShowInput = inputOf({ leaseOrFile: leaseOrFileWord }, { public: flag("--public", "exactly what outsiders see"), json });
export type ReceiptShowInput = InputOf<typeof receiptShowInput>;

export const witnessInput = inputOf(
  { url: word },
  {
    name: textOr("--name <name>", "of this witness, in its signatures", "witness"),
    data: text("--data <dir>", "where its key and memory live"),
    every: valueOr("--every <duration>", "how often to look", "5s", parseDurationMs),
    once: flag("--once", "look once and end"),
  },
);
export type WitnessInput = InputOf<typeof witnessInput>;
export const evidenceInput = inputOf(
  { files: rest },
  {
    promises: flag("--promises", "look up every promise that the broker gave this machine in its log"),
    out: textOr("--out <file>", "where it goes", "evidence.json"),
  },
);
export type EvidenceInput = InputOf<typeof evidenceInput>;
