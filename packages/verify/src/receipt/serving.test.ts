/** Which server has a lease, by its receipt: a move that its owner's servers did not sign brings nobody elsewhere. */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { BROKER } from "../testing/cast.ts";
import { retold, type Changes } from "../testing/moves.ts";
import { storyOf } from "../testing/stories.ts";
import { servingOf } from "./serving.ts";

const story = storyOf({ crypto, createSigner }, "a machine, moved to another server of its owner", 7);
const { cast } = story;
const serving = (changes: Changes) => servingOf(crypto, cast.pins, retold(story, changes));

/** As a broker shows what is too long for one answer: without claims. */
function brief(changes: Changes) {
  const receipt = retold(story, changes);
  const documents = receipt.documents.filter(({ kind }) => kind !== "claim" && kind !== "claim-receipt");
  return servingOf(crypto, cast.pins, { ...receipt, documents, hasMore: true });
}

describe("who serves a lease", () => {
  it("is told by its moves alone, where its claims are left out and it is said to be so", () => {
    expect(brief({ held: [] })).toEqual(serving({ held: [] }));
    expect(serving({ held: [], drop: ["claim 1", "receipt 1"] })).toMatchObject({ ok: false });
  });

  it("is the server that took it over, by the channel's key that its own offer names", () => {
    expect(serving({ held: [] })).toEqual({
      ok: true,
      serving: { server: cast.server2, serverKey: cast.key("server-2"), channelKey: "33".repeat(32) },
    });
  });

  it("is the first one where nothing was moved", () => {
    const other = storyOf({ crypto, createSigner }, "a machine that ended by itself", 7);
    expect(servingOf(crypto, other.cast.pins, retold(other, { held: [] }))).toEqual({ ok: true, serving: null });
  });

  it.each([
    ["a key of the broker's own", { by: { takeover: "orders", "other offer": "orders" } }],
    [
      "a stranger's server",
      { held: [...BROKER, "stranger-server"], by: { takeover: "stranger-server", "other offer": "stranger-server" } },
    ],
    ["a handover that the first server has not signed", { held: [...BROKER, "server-2"], by: { handover: "server-2" } }],
    ["another time than the log's", { edits: { move: { at: 1 } } }],
  ] satisfies [string, Changes][])("is told by no move with %s", (_, changes) => {
    expect(serving({ held: [...BROKER, "server-2"], ...changes })).toMatchObject({ ok: false });
    expect(brief({ held: [...BROKER, "server-2"], ...changes })).toMatchObject({ ok: false });
  });
});
