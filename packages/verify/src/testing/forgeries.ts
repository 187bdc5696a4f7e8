/** Plays honest receipts and forgeries of them against `verifyReceipt`, and counts what it gets wrong. */
import { cosign, type Receipt } from "@xenoservers/protocol";
import type { OwnFacts } from "../receipt/checking.ts";
import { verifyReceipt } from "../receipt/receipt.ts";
import { cached } from "./cached.ts";
import { CUSTOMER, OWNER, type KeyName, type Tools } from "./cast.ts";
import { forge } from "./forge.ts";
import { firstLie } from "./oracle.ts";
import { Rng } from "./rng.ts";
import { receiptOf } from "./script.ts";
import { STORY_NAMES, storyOf, type Story } from "./stories.ts";

export interface Tally {
  stories: number;
  honest: number;
  /** Honest receipts that were refused, in words. */
  refused: string[];
  forgeries: number;
  /** Forgeries in which nothing failed: what was changed leaves everything that is said true. */
  unharmed: number;
  /** Lines that say `proved` and are false, in words. */
  lies: string[];
}

const WITNESS = "witness.test";

function cosigned(story: Story, receipt: Receipt): Receipt {
  const { crypto, signers } = story.cast;
  return { ...receipt, checkpoint: receipt.checkpoint + cosign(crypto, signers.witness, WITNESS, receipt.checkpoint, 1_700_000_000) };
}

const signedBy = (story: Story, names: readonly KeyName[]): string[] =>
  story.play.filed.filter(({ by, isLeaf, isAside }) => names.includes(by) && !isLeaf && !isAside).map(({ document }) => document.id);

/** What a verifier may know by itself; of a party of the lease, or of nobody. */
function ownFacts(story: Story, rng: Rng): OwnFacts {
  const { cast, play } = story;
  const stated = play.find("result") && play.of("result").document.payload;
  return {
    ...(rng.chance(0.4) ? { documents: signedBy(story, rng.chance(0.7) ? CUSTOMER : OWNER) } : {}),
    ...(rng.chance(0.3) && story.truth ? { reExecuted: story.truth } : {}),
    ...(rng.chance(0.1) && stated && play.has("delivery") ? { outputDigest: stated.outputDigest } : {}),
    ...(rng.chance(0.2) ? { customerKey: play.of("order").document.keyid } : {}),
    ...(rng.chance(0.3) ? { witnesses: [{ name: WITNESS, key: cast.key("witness") }] } : {}),
  };
}

/** What an honest receipt of the story must come to, as far as its name says: nothing fails but a lie. */
function refusal(story: Story, receipt: Receipt, own: OwnFacts): string | null {
  const { lines } = verifyReceipt(story.cast.crypto, story.cast.pins, receipt, own);
  const isLie = story.truth !== null && story.name.startsWith("a lie") && own.reExecuted !== undefined;
  // until the appeal is reviewed, running the job again shows the referee to be wrong
  const isAppealable = story.name.startsWith("convicted by a referee that is wrong") && own.reExecuted !== undefined;
  const isReviewed = receipt.documents.some(({ kind }) => kind === "review");
  const shown = [...(isLie ? ["result"] : []), ...(isAppealable && !isReviewed ? ["verdict"] : [])];
  const failed = lines.find(({ status, check }) => status === "failed" && !shown.includes(check));
  return failed ? `${story.name}: ${failed.check}: ${failed.says}` : null;
}

/** Also as it stood at some moment before its end, with the last of it still on the way to the log, and in any order in the file. */
function honestReceipts(story: Story, rng: Rng): Receipt[] {
  const whole = story.play.filed;
  const waiting = whole.map((each, i) => ({ ...each, isPending: i >= whole.length - 3 }));
  const receipt = receiptOf(story.cast, story.lease, whole, { seed: rng.below(1_000) });
  const shuffled = { ...receipt, documents: [...receipt.documents].reverse(), leaves: [...receipt.leaves].reverse() };
  const placed = whole.findIndex(({ document }) => document.kind === "purchase-order");
  // the broker files what it answers together with what it answers to: a receipt is cut between two such changes
  const cuts = whole.flatMap(({ document, at }, i) =>
    i > placed && whole[i + 1]?.at !== at && document.kind !== "extension" ? [i + 1] : [],
  );
  const parts = cuts.map((end) => receiptOf(story.cast, story.lease, whole.slice(0, end), { seed: end }));
  return [receipt, shuffled, receiptOf(story.cast, story.lease, waiting), ...parts];
}

export function playForgeries(tools: Tools, { count, seed }: { count: number; seed: number }): Tally {
  const quick = cached(tools);
  const rng = new Rng(seed);
  const tally: Tally = { stories: 0, honest: 0, refused: [], forgeries: 0, unharmed: 0, lies: [] };
  const share = Math.ceil(count / STORY_NAMES.length / Math.max(1, Math.round(count / 20_000)));
  while (tally.forgeries < count)
    for (const name of STORY_NAMES) {
      const chance = rng.below(1_000_000);
      const story = storyOf(quick, name, chance);
      const other = storyOf(quick, rng.pick(STORY_NAMES), chance);
      tally.stories++;
      for (const receipt of honestReceipts(story, rng)) {
        const wrong = refusal(story, receipt, rng.chance(0.5) && story.truth ? { reExecuted: story.truth } : {});
        if (wrong !== null) tally.refused.push(wrong);
        tally.honest++;
      }
      const honest = cosigned(story, receiptOf(story.cast, story.lease, story.play.filed, { seed: chance }));
      for (let i = 0; i < share && tally.forgeries < count; i++) oneForgery(tally, story, other, honest, rng);
    }
  return tally;
}

function oneForgery(tally: Tally, story: Story, other: Story, honest: Receipt, rng: Rng): void {
  const { receipt, held, did } = forge(story, other, honest, rng);
  const own = ownFacts(story, rng);
  const { ok, lines } = verifyReceipt(story.cast.crypto, story.cast.pins, receipt, own);
  const lie = firstLie({ story, receipt, own, held, honest }, lines);
  tally.forgeries++;
  if (ok) tally.unharmed++;
  if (lie)
    tally.lies.push(
      `${story.name}; ${[...held].join(" ") || "anyone"} ${did.join(", ")}; ${Object.keys(own).join(" ")}: ${lie.check}: ${lie.says}`,
    );
}
