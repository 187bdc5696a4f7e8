import { PaperMarket, Random } from "@xenoservers/testkit";
import { expect, it } from "vitest";
import { formatCiToken, parseCiToken, type CiToken } from "./ci-token.ts";

const token: CiToken = {
  url: "http://broker.example:7400",
  pins: new PaperMarket(new Random(1)).pins,
  seed: "5".repeat(64),
  key: {
    ...{ party: `p_${"a".repeat(40)}`, role: "ci", label: "nightly", scopes: ["spend", "read"], account: `a_${"b".repeat(40)}` },
    ...{ leaseLabel: "nightly", expiresAt: 1_800_000_000_000 },
  },
};

it("carries everything that its holder needs, the market's pins with its operator's key too", () => {
  expect(parseCiToken(formatCiToken(token))).toEqual(token);
  expect(parseCiToken(` \n${formatCiToken(token)}\r\n`)).toEqual(token);
});

it.each<[string, string, RegExp]>([
  ["nonsense", "hello", /this is not a token; make one with `xeno token create`/],
  ["a cut token", formatCiToken(token).slice(0, -20), /this is not a token/],
  [
    "a token without its bounds",
    `xeno-ci-${Buffer.from(JSON.stringify({ ...token, key: undefined })).toString("base64url")}`,
    /this is not a token/,
  ],
  [
    "a token with more than it should hold",
    `xeno-ci-${Buffer.from(JSON.stringify({ ...token, more: 1 })).toString("base64url")}`,
    /this is not a token/,
  ],
  ["a machine's token", "xeno-enrol-abc", /xeno serve --enrol/],
])("refuses %s in words", (_, text, why) => expect(() => parseCiToken(text)).toThrow(why));
