/** Who judged, in which round, and why not who would have come before. */
import { type RefereeRun, shortId } from "@xenoservers/sdk";

export const refereeLines = ({ referee, round, passed }: RefereeRun): string[] => [
  ...passed.map((before) => `referee  ${shortId(before.referee)} was drawn before: ${before.why}`),
  `referee  ${shortId(referee)} was drawn in round ${round} and ran it`,
];
