import { expect, test } from "vitest";
import { receiptText } from "./receipt-line.ts";

const progress = { documents: 1_000, documentsInAll: 17_285, bytes: 2 * 1024 ** 2, before: null };

test("how far a receipt is, of how many, how fast, and how long it takes still", () => {
  expect(receiptText(progress, 1_000)).toBe("receipt: 1000 of 17285 documents, 2.0 MiB, 2.0 MiB/s, 17 s left");
  expect(receiptText({ ...progress, documents: 17_285 }, 1_000)).toBe("receipt: 17285 of 17285 documents, 2.0 MiB, 2.0 MiB/s");
});

test("what came before counts in what is here, and not in how fast it comes", () => {
  const before = { documents: 500, bytes: 1024 ** 2, at: 0 };
  expect(receiptText({ ...progress, documentsInAll: 2_000, before }, 1_000)).toBe(
    "receipt: 1000 of 2000 documents, 2.0 MiB, 1.0 MiB/s, 2 s left",
  );
});

test("a broker that does not say how many there are is not guessed for", () => {
  expect(receiptText({ ...progress, documentsInAll: null }, 0)).toBe("receipt: 1000 documents, 2.0 MiB, 0 B/s");
});
