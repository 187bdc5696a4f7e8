/**
 * On which documents each line rests, and how well these stand: a line is as good as the weakest of them, and of those of the lines
 * before it. Signed and in the log: it bears `proved`. Outside the log, or missing: `claimed` at most. What the fold itself needs and does
 * not get has failed before. Who controls the inputs: whoever hands over the file, and the broker for places in the log.
 */
import { speaksAs, type Lease, type LeaseRole, type Speaker } from "@xenoservers/market";
import type { AnyVerified, Envelope } from "@xenoservers/protocol";
import { CHECK_OF, factsOfLine, type Check } from "./lines.ts";
import { claimed, type Rest, type Said } from "./line.ts";
import type { Told } from "./told.ts";

const ROLES: readonly LeaseRole[] = ["server", "customer", "owner", "operator", "broker-orders", "broker-receipts"];

function roleIn(lease: Lease | null, signer: Speaker): string {
  const role = lease && ROLES.find((each) => speaksAs(lease, signer, each));
  if (signer.by !== "party") return signer.by === "broker" ? `broker-${signer.key}` : signer.by;
  return role ? (role === signer.role ? role : `${role} (${signer.role})`) : signer.role;
}

const signerOf = ({ signatures }: Envelope): string => signatures[0].keyid;

/** The keys that signed what stands inside a document; the fold has found them right. */
function keysInside({ kind, payload }: AnyVerified): string[] {
  if (kind === "purchase-order") return [signerOf(payload.order), signerOf(payload.offer)];
  if (kind === "amendment") return [signerOf(payload.extension)];
  if (kind === "takeover") return [signerOf(payload.handover), signerOf(payload.offer)];
  if (kind === "move") return [signerOf(payload.takeover)];
  if (kind === "dispute") return payload.ruling === null ? [] : [signerOf(payload.ruling)];
  return kind === "verdict" || kind === "review" ? [signerOf(payload.ruling)] : [];
}

/** The documents that a line rests on beside those of the lines before it: its facts, and the public ones that these lean on. */
export function restsOf(check: Check, told: Told): Rest[] {
  const kinds = factsOfLine(check);
  const taken = told.taken.filter(({ fact }) => kinds.includes(fact.kind));
  const rests = taken.map(({ fact: { kind, id, signer }, index }): Rest => ({
    kind,
    id,
    by: roleIn(told.lease, signer),
    index,
    grant: false,
  }));
  // what only computes it here has its signers told where it is spoken of
  const spoken = taken.filter(({ fact }) => CHECK_OF[fact.kind] === check);
  const keys = spoken.flatMap(({ fact: { signer }, document }) => [
    ...(signer.by === "party" ? [signer.key] : []),
    ...keysInside(document),
  ]);
  rests.push(...[...new Set(keys)].flatMap((key) => told.grantsOf(key)));
  if (check === "purchase order") rests.push(...told.orders, ...announcedFor(told));
  if (check === "verdict") rests.push(...refereeFor(told));
  if (check === "audit") rests.push(...roundFor(told));
  return once(rests);
}

/** Each document once, where it comes first. */
const once = (rests: readonly Rest[]): Rest[] => {
  const seen = new Map<string, Rest>();
  for (const rest of rests) {
    const name = rest.id ?? `${rest.kind} ${rest.by}`;
    if (!seen.has(name)) seen.set(name, rest);
  }
  return [...seen.values()];
};

function announcedFor(told: Told): Rest[] {
  const fee = told.announcedFee();
  return fee ? [{ kind: "fee", id: fee.document.id, by: "operator", index: fee.index, grant: false }] : [];
}

/** What the operator said last of the verdict's referee, and of the one that was asked on appeal. */
function refereeFor(told: Told): Rest[] {
  const referees = [told.documentOf("verdict"), told.documentOf("review")].flatMap((each) => each?.payload.referee ?? []);
  return referees.map((referee) => {
    const named = told.namedReferee(referee);
    return { kind: "referee", id: named?.document.id ?? null, by: "operator", index: named?.index ?? null, grant: false };
  });
}

/** The round in which the result was drawn, and its secret where that was shown. */
function roundFor({ lease, auditRounds, auditReveals }: Told): Rest[] {
  const drawnIn = lease?.end?.auditRound ?? null;
  const opened = auditRounds.filter(({ document }) => document.id === drawnIn);
  const shown = auditReveals.filter(({ document }) => document.payload.auditRound === drawnIn);
  return [...opened, ...shown].map(({ document: { kind, id }, index }) => ({ kind, id, by: "broker-receipts", index, grant: false }));
}

const KINDS_SHOWN = 4;

/** The last lines' own first. */
function listed(rests: readonly Rest[]): string {
  const kinds = [...new Set(rests.toReversed().map(({ kind }) => kind))];
  const more = kinds.length > KINDS_SHOWN ? ", …" : "";
  return `${kinds.slice(0, KINDS_SHOWN).join(", ")}${more}`;
}

/** What weakens whatever rests on these, in words; null where nothing does. */
function weakness(rests: readonly Rest[]): string | null {
  const all = once(rests);
  const missing = all.filter(({ id }) => id === null);
  const outside = all.filter(({ id, index }) => id !== null && index === null);
  const says = [
    ...(missing.length > 0 ? [`what it leans on is left out (${listed(missing)})`] : []),
    ...(outside.length > 0 ? [`of what it rests on ${outside.length} outside the log (${listed(outside)})`] : []),
  ];
  return says.length === 0 ? null : says.join("; ");
}

/** What is said, as far as the weakest of what it rests on bears it. */
export function borne(said: Said, rests: readonly Rest[]): Said {
  const weak = said.status === "proved" ? weakness(rests) : null;
  return weak === null ? said : claimed(`${said.says}; ${weak}`);
}
