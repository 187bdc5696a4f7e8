import type { LeaseView } from "@xenoservers/protocol";
import type { ReceiptVerification } from "@xenoservers/verify";
import { expect, it } from "vitest";
import { resultOf } from "./job-result.ts";
import { Output } from "./output.ts";

it("tells a lease that was stopped before a server took it from one that no server took", () => {
  const came = { lease: { id: "ab", end: null } as LeaseView, delivered: null, output: new Output(), files: [] };
  const verification = {} as ReceiptVerification;
  expect(() => resultOf({ ...came, verification, isStopped: true })).toThrow("lease ab was stopped before a server took it");
  expect(() => resultOf({ ...came, verification, isStopped: false })).toThrow("no server took lease ab");
});
