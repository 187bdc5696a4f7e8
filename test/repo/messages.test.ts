/** The table of messages in docs/protocol.md has every kind that the schemas let through, and no other; each cell says something. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { zFromBroker, zToBroker } from "@xenoservers/protocol/link";
import { CHANNEL_KINDS } from "@xenoservers/protocol/channel";

const HEADER = "| kind | who sends it | how many | how large | when nobody reads what it brings | when it stops half-way |";
/** What is no message of a schema. */
const BELOW = ["HTTP request", "HTTP event stream", "WebSocket ping", "pong", "channel bytes"];

const text = readFileSync("docs/protocol.md", "utf8");
const rows = text
  .slice(text.indexOf(HEADER))
  .split("\n\n")[0]!
  .split("\n")
  .slice(2)
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const named = rows.flatMap(([kinds = ""]) => kinds.replaceAll(/ \(.*\)/g, "").split(", "));
const link = [...zToBroker.def.options, ...zFromBroker.def.options].flatMap(({ shape }) =>
  shape.t.def.values.map((kind) => `link ${kind}`),
);

it("has a row for every kind, and for no other", () => {
  const known = [...link, ...CHANNEL_KINDS.map((kind) => `channel ${kind}`), ...BELOW];
  expect(named.toSorted().filter((kind, i, all) => kind !== all[i - 1])).toEqual([...new Set(known)].toSorted());
});

it("says of each who sends it, how many, how large, and what happens when it stops", () => {
  expect(rows.filter((cells) => cells.length !== 6 || cells.some((cell) => cell === ""))).toEqual([]);
});
