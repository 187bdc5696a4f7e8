/** What `run` says as it ends. */
import type { BuiltWork } from "@xenoservers/sdk";
import { expect, it, vi } from "vitest";
import { RunLines } from "./run-lines.ts";

it("a receipt that broke off is gone on with by what orders nothing", () => {
  let said = "";
  const shown = vi.spyOn(process.stderr, "write").mockImplementation((text) => (said += String(text)) !== "");
  try {
    const lines = new RunLines({ spec: {} } as BuiltWork, false);
    lines.watching.onReceipt!({ documents: 3, documentsInAll: 9, bytes: 100, before: null });
    lines.received(false, "ab".repeat(32));
    lines.close();
  } finally {
    shown.mockRestore();
  }
  expect(said).toContain("3 documents of the receipt came: where it can, xeno verify abababababab goes on from there");
});
