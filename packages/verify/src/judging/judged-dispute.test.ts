/** A referee's result that a customer brings, and what a broker may make of it. */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import type { SignedDocument, Verified } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { checkDispute } from "../receipt/verdict.ts";
import type { Checking } from "../receipt/checking.ts";
import { storyOf } from "../testing/stories.ts";
import { judgeDispute } from "./judged-dispute.ts";

const { play } = storyOf({ crypto, createSigner }, "a lie, shown by one segment", 19);
const dispute = play.of("dispute").document as unknown as Verified<"dispute">;
const result = play.of("result").document as unknown as SignedDocument<"result">;

it("is the broker's word alone where the dispute does not show it", () => {
  const world = { crypto, market: null as never, keyOf: () => null };
  const unsaid = { ...dispute, payload: { ...dispute.payload, ruling: null } } as Verified<"dispute">;
  expect(judgeDispute(world, unsaid, null, result, null)).toEqual({ finding: "unknown", why: null, ruling: null });
});

it("decides nothing where it holds no signed result", () => {
  const world = { crypto, market: null as never, keyOf: () => null };
  const forged = { ...dispute, payload: { ...dispute.payload, ruling: { ...result.envelope, payload: "e30=" } } } as Verified<"dispute">;
  expect(judgeDispute(world, forged, null, result, null).finding).toBe("not-comparable");
});

const told = (finding: "differs" | "agrees" | "unknown", verdict: object | null): Checking =>
  ({
    own: {},
    told: {
      ...{ disputed: [{ finding, why: "the server signed fuel 1", ruling: null, isLogged: true }], lease: null, broken: null },
      ...{ documentOf: () => verdict, factsOf: () => [] },
    },
  }) as unknown as Checking;

it("fails the line where the results differ and the broker gave no verdict, and says whose word the rest is", () => {
  const lease = { objection: null, trace: null, final: null } as never;
  expect(checkDispute(told("differs", null), lease)).toMatchObject({ status: "failed", says: expect.stringContaining("no verdict") });
  expect(checkDispute(told("differs", {}), lease)?.status).toBe("claimed");
  expect(checkDispute(told("agrees", null), lease)).toMatchObject({ status: "claimed", says: expect.stringContaining("the same") });
  expect(checkDispute(told("unknown", null), lease)).toMatchObject({ status: "claimed", says: expect.stringContaining("broker's word") });
});
