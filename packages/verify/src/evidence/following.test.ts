/** A witness over the life of a log: what it cosigns, what it follows with a loss told, and what it refuses for ever. */
import { bytesOfHex, consistencyRefs, foldGroup, rootOfLeaves, toHex, type MarketHistory, type NodeRef } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { Cast } from "../testing/cast.ts";
import { PaperEpoch, historyOf } from "../testing/log-paper.ts";
import { smallLog } from "../testing/merkle.ts";
import { verifyEvidence } from "./evidence.ts";
import { NOTHING_FOLLOWED, followLog, type Followed, type LogSource, type Seen } from "./following.ts";

const cast = new Cast({ crypto, createSigner }, 31);
const tools = { crypto, market: cast.pins };

/** Leaf by leaf: the hash of a complete subtree. */
const nodeOf = (hashes: readonly string[], { level, index }: NodeRef): Uint8Array => {
  const width = 2 ** level;
  return rootOfLeaves(crypto, hashes.slice(index * width, (index + 1) * width).map(bytesOfHex));
};

/** A broker that has these logs; of those that are over, as much as was restored. */
class PaperBroker implements LogSource {
  readonly epochs: PaperEpoch[];
  readonly restored: Readonly<Record<string, number>>;
  told: MarketHistory | null = null;

  constructor(epochs: PaperEpoch[], restored: Readonly<Record<string, number>> = {}) {
    [this.epochs, this.restored] = [epochs, restored];
  }
  get current(): PaperEpoch {
    const last = this.epochs.at(-1);
    if (!last) throw new Error("no epoch");
    return last;
  }
  history = async (): Promise<MarketHistory> => this.told ?? historyOf(cast, this.epochs);
  async inclusion(leaf: string, size: number) {
    const { hashes } = this.current;
    const index = hashes.indexOf(leaf);
    return index < 0 ? null : { index, proof: smallLog(crypto, hashes.slice(0, size).map(bytesOfHex)).proofOf(index) };
  }
  async consistency(epoch: string, from: number, to: number) {
    const log = this.epochs.find(({ id }) => id === epoch);
    if (!log || to > (this.restored[epoch] ?? log.hashes.length)) return null;
    return consistencyRefs(from, to).map((group) =>
      toHex(
        foldGroup(
          crypto,
          group.map((ref) => nodeOf(log.hashes, ref)),
        ),
      ),
    );
  }
}

const logOf = (id: string, fillers: number, previous: ReturnType<PaperEpoch["state"]> | null = null): PaperEpoch => {
  const log = new PaperEpoch(cast, id, previous);
  for (let i = 0; i < fillers; i++) log.filler(2_000 + i, `${id} ${i}`);
  return log;
};
const follow = (source: LogSource, followed: Followed, note: string) => followLog(tools, source, followed, note);
async function followed(source: LogSource, before: Followed, note: string): Promise<Extract<Seen, { kind: "extends" }>> {
  const seen = await follow(source, before, note);
  if (seen.kind !== "extends") throw new Error(seen.kind === "refused" ? seen.why : seen.kind);
  return seen;
}
const refusal = async (source: LogSource, before: Followed, note: string) => {
  const seen = await follow(source, before, note);
  return seen.kind === "refused" ? seen : null;
};
const proves = (evidence: unknown): boolean => verifyEvidence(crypto, structuredClone(evidence), cast.pins).ok;

const A = logOf("a1", 6);
const old = new PaperBroker([A]);
/** What a witness has that looked at these sizes. */
async function after(...sizes: number[]): Promise<Followed> {
  let state = NOTHING_FOLLOWED;
  for (const size of sizes) state = (await followed(old, state, A.note(size))).followed;
  return state;
}

describe("within an epoch", () => {
  it("a log that grows is cosigned, and the same again is nothing new", async () => {
    const state = await after(2, 5);
    expect(state).toMatchObject({ current: A.id, logs: { [A.id]: [A.note(2), A.note(5)] } });
    expect(await follow(old, state, A.note(5))).toEqual({ kind: "nothing-new" });
    expect(await follow(old, NOTHING_FOLLOWED, A.note(0))).toEqual({ kind: "nothing-new" });
  });

  it("another log of one size is refused, with the proof, and its epoch for ever", async () => {
    const seen = await refusal(old, await after(5), A.note(5, cast.signers.checkpoints, "77".repeat(32)));
    expect(seen?.why).toContain("two logs of the same size");
    expect(proves(seen?.evidence)).toBe(true);
    // what the honest half of the fork adds is not cosigned either
    expect((await refusal(old, seen?.followed ?? NOTHING_FOLLOWED, A.note(6)))?.why).toContain("not cosigned any more");
  });

  it("one that shrank, or does not begin with what was cosigned, is refused", async () => {
    const state = await after(5);
    expect((await refusal(old, state, A.note(3)))?.why).toContain("shrank from 5 to 3");
    const changed = new PaperEpoch(cast, "a1", null);
    for (let i = 0; i < 7; i++) changed.filler(3_000 + i, "another");
    expect((await refusal(new PaperBroker([changed]), state, changed.note()))?.why).toContain("does not begin with");
    expect((await refusal(old, state, A.note(6, cast.signers.stranger)))?.why).toContain("did not sign");
    // a stale answer is no fork: the log goes on
    expect((await followed(old, state, A.note(7))).losses).toEqual([]);
  });
});

describe("a restore", () => {
  const restored = (size: number, id = "b1", fillers = 3): PaperBroker =>
    new PaperBroker([A, logOf(id, fillers, A.state(size))], { [A.id]: size });

  it("of all that was cosigned is followed, and costs nothing", async () => {
    for (const size of [5, 6, 7]) {
      const broker = restored(size);
      const seen = await followed(broker, await after(5), broker.current.note());
      expect(seen).toMatchObject({ losses: [], followed: { current: broker.current.id } });
    }
  });

  it("of less is followed, and what it lost is told and proved", async () => {
    const broker = restored(3);
    const seen = await followed(broker, await after(2, 5), broker.current.note());
    expect(seen.losses).toMatchObject([{ epoch: A.id, lostLeaves: 2 }]);
    expect(proves(seen.losses[0]?.evidence)).toBe(true);
    // it is told once
    broker.current.filler(9_000, "more");
    expect((await followed(broker, seen.followed, broker.current.note())).losses).toEqual([]);
  });

  it("of one backup twice is followed both times, and the first of the two is lost whole", async () => {
    const [b, c] = [restored(5), restored(5, "c1")];
    const first = await followed(b, await after(5), b.current.note());
    const second = await followed(new PaperBroker([A, b.current, c.current], { [A.id]: 5 }), first.followed, c.current.note());
    expect(second.losses).toMatchObject([{ epoch: b.current.id, lostLeaves: 4 }]);
    expect(proves(second.losses[0]?.evidence)).toBe(true);
    // a broker that has only its own epochs tells as much
    expect((await followed(c, first.followed, c.current.note())).losses).toMatchObject([{ epoch: b.current.id, lostLeaves: 4 }]);
    // the first of the two is over, and so is what both follow
    b.current.filler(9_000, "b lives on");
    expect((await refusal(b, second.followed, b.current.note()))?.why).toContain("was over when");
    expect((await refusal(old, second.followed, A.note(7)))?.why).toContain("was over when");
  });

  it("is followed over epochs that this witness never saw", async () => {
    const middle = logOf("b1", 2, A.state(5));
    const last = logOf("c1", 2, middle.state());
    const broker = new PaperBroker([A, middle, last], { [A.id]: 5 });
    expect(await followed(broker, await after(5), last.note())).toMatchObject({ losses: [], followed: { current: last.id } });
  });

  it("that says otherwise of what was cosigned is a fork, and refused for ever", async () => {
    const lying = logOf("b1", 3, { ...A.state(5), root: "77".repeat(32) });
    const broker = new PaperBroker([A, lying]);
    const seen = await refusal(broker, await after(5), lying.note());
    expect(seen?.why).toContain("says otherwise of the 5 leaves");
    expect(proves(seen?.evidence)).toBe(true);
    expect((await refusal(broker, seen?.followed ?? NOTHING_FOLLOWED, lying.note()))?.why).toContain("not cosigned any more");
  });

  it("of leaves that do not begin with what was cosigned is refused, and one that cannot show it", async () => {
    const hiding = logOf("a1", 0);
    for (let i = 0; i < 6; i++) hiding.filler(4_000 + i, "instead");
    const after5 = await after(2, 5);
    const other = logOf("b1", 1, hiding.state(6));
    expect((await refusal(new PaperBroker([hiding, other]), after5, other.note()))?.why).toContain("do not begin with the 5 cosigned");
    const fewer = logOf("b1", 1, hiding.state(4));
    expect((await refusal(new PaperBroker([hiding, fewer]), after5, fewer.note()))?.why).toContain("do not begin with the 2 cosigned");
    expect((await refusal(new PaperBroker([A, restored(6).current], { [A.id]: 0 }), after5, restored(6).current.note()))?.why).toContain(
      "do not begin with the 5 cosigned",
    );
  });

  it("that is not declared is refused: no first leaf, or one that names nothing that was cosigned", async () => {
    const state = await after(5);
    const anew = logOf("b1", 3);
    expect((await refusal(new PaperBroker([anew]), state, anew.note()))?.why).toContain("a restore that was not declared");
    const silent = restored(5);
    silent.told = historyOf(cast, [A]);
    expect((await refusal(silent, state, silent.current.note()))?.why).toContain("does not say which log it follows");
    // said in a document that is not in the log, or not first in it
    const late = new PaperEpoch(cast, "b1", A.state(5), 5_000);
    const unlogged = new PaperBroker([A, late]);
    unlogged.told = historyOf(cast, [A, new PaperEpoch(cast, "b1", A.state(3), 5_000)]);
    expect((await refusal(unlogged, state, late.note()))?.why).toContain("does not say which log it follows");
    // and a witness that knows nothing yet takes no log without it
    expect((await refusal(unlogged, NOTHING_FOLLOWED, late.note()))?.why).toContain("does not say which log it follows");
  });
});

it("keeps few notes of a log however often it looks, the newest whole", async () => {
  const log = logOf("d1", 150);
  const broker = new PaperBroker([log]);
  let state = NOTHING_FOLLOWED;
  for (let size = 1; size <= 150; size++) state = (await followed(broker, state, log.note(size))).followed;
  const notes = state.logs[log.id] ?? [];
  expect(notes.length).toBeLessThanOrEqual(128);
  expect(notes.at(0)).toBe(log.note(1));
  expect(notes.slice(-64)).toEqual(Array.from({ length: 64 }, (_, i) => log.note(87 + i)));
});
