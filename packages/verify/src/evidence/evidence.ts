/**
 * Evidence that convicts a broker, a server or a customer on a machine that never saw the market: every kind judged by the keys that this
 * machine has pinned, or that the pinned operator's key names. By keys that only the file brings nothing is proved. Who controls the
 * input: whoever hands over the file; the signatures decide.
 */
import {
  EVIDENCE_FORMAT,
  parseDocument,
  parseLogOrigin,
  zEvidence,
  type Crypto,
  type Evidence,
  type MarketPins,
} from "@xenoservers/protocol";
import { claimed, failed, proved, type Line, type Said, type Verification } from "../receipt/line.ts";
import { brokenPromise } from "./broken-promise.ts";
import { contradicted, soldTwice } from "./contradicted.ts";
import type { Cited, Finding } from "./finding.ts";
import { forked } from "./forked.ts";
import { lost } from "./lost.ts";
import { basisOf, type Basis, type Trust } from "./trust.ts";

export const isEvidence = (untrusted: unknown): boolean =>
  typeof untrusted === "object" && untrusted !== null && "format" in untrusted && untrusted.format === EVIDENCE_FORMAT;

/** What the evidence proves by these keys; null where it proves nothing. */
function findingOf(crypto: Crypto, evidence: Evidence, markets: readonly MarketPins[]): Finding | null {
  switch (evidence.kind) {
    case "fork":
      return forked(crypto, evidence, markets);
    case "contradiction":
      return contradicted(crypto, evidence, markets);
    case "sold-twice":
      return soldTwice(crypto, evidence, markets);
    case "broken-promise":
      return brokenPromise(crypto, evidence, markets);
    case "loss":
      return lost(crypto, evidence, markets);
  }
}

const originOfNote = (note: string): string => parseLogOrigin(note.slice(0, note.indexOf("\n")))?.market ?? "";

function originOfDocument(crypto: Crypto, envelope: unknown): string {
  const parsed = parseDocument(crypto, envelope);
  return parsed.ok ? parsed.document.payload.origin : "";
}

/** The market that it is about, by its own word. */
function originOf(crypto: Crypto, evidence: Evidence): string {
  switch (evidence.kind) {
    case "fork":
      return originOfNote(evidence.first);
    case "loss":
      return originOfNote(evidence.checkpoint);
    case "broken-promise":
      return evidence.promise.origin;
    case "contradiction":
      return originOfDocument(crypto, evidence.first);
    case "sold-twice":
      return originOfDocument(crypto, evidence.documents[0]);
  }
}

const short = (text: string): string => `${text.slice(0, 16)}…`;
const cited = ({ kind, id, by, key }: Cited): string => `${kind} ${short(id)} by ${by} (${short(key)})`;

const NOTHING = "it proves nothing: both can be honest, or a signature is not that of the key whose word it would be";
const NOTHING_KNOWN = "it proves nothing of the market whose keys are pinned here";
const NO_KEYS = "it brings no keys of its market, and none are pinned here";

function keysLine({ markets: [market], isPinned }: Basis): Said {
  if (!market) return claimed(NO_KEYS);
  const named = `operator key ${market.operatorKey} of ${market.origin}`;
  if (isPinned) return proved(`the keys are those of the market that is pinned here: ${named}`);
  return claimed(`by keys that the file itself brings: ${named}; whoever knows that this is the market's checks it with --operator`);
}

function linesOf(kind: string, finding: Finding, basis: Basis): Line[] {
  const { rule, says, documents, only } = finding;
  const said = basis.isPinned && only === null ? proved : claimed;
  const main = `${says}${only === null ? "" : `; ${only}`} (rule ${rule})`;
  return [
    { check: kind, ...said(main) },
    { check: "documents", ...said(documents.map(cited).join("; ")) },
    { check: "keys", ...keysLine(basis) },
  ];
}

/** `trust`: what this machine knows of a market, if anything. What hangs on a claim, such as whose log it is, convicts nobody. */
export function verifyEvidence(crypto: Crypto, untrusted: unknown, trust: Trust | null): Verification {
  const parsed = zEvidence.safeParse(untrusted);
  const where = parsed.error?.issues[0]?.path.join(".") ?? "";
  if (!parsed.success) return { ok: false, lines: [{ check: "file", ...failed(`this is not evidence: ${where}`) }] };
  const evidence = parsed.data;
  const basis = basisOf(crypto, originOf(crypto, evidence), evidence.keySets, trust);
  const finding = findingOf(crypto, evidence, basis.markets);
  const nothing = basis.markets.length === 0 ? NO_KEYS : basis.isPinned ? `${NOTHING}; ${NOTHING_KNOWN}` : NOTHING;
  const lines = finding ? linesOf(evidence.kind, finding, basis) : [{ check: evidence.kind, ...failed(nothing) }];
  return { ok: lines.every(({ status }) => status === "proved"), lines };
}
