import { fingerprintOf } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { expect, it } from "vitest";
import { assertFingerprint } from "./fingerprint.ts";

const { pins } = new PaperMarket(new Random(1));
const fingerprint = fingerprintOf(nodeCrypto, pins);
const given = (wanted: string) => () => assertFingerprint(wanted, pins, "there", "nothing was pinned");

it.each([fingerprint, fingerprint.replaceAll(" ", ""), fingerprint.toUpperCase().replaceAll(" ", ":"), ` ${fingerprint}\n`])(
  "is the same however it is handed on: %s",
  (wanted) => expect(given(wanted)).not.toThrow(),
);

it.each([
  ["", /'' is no fingerprint/],
  [fingerprint.slice(0, 9), /is no fingerprint/],
  [`${fingerprint} 0000`, /is no fingerprint/],
  ["0".repeat(32), /the fingerprint there is .*: nothing was pinned/],
])("no other is taken, and what is none is not another market's: '%s'", (wanted, why) => expect(given(wanted)).toThrow(why));
