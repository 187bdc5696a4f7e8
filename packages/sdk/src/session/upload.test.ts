import { expect, it } from "vitest";
import { PYTHON } from "../runtimes.ts";
import { Upload } from "./upload.ts";

const work = (sizes: Record<string, number>) => ({
  blobs: new Map(Object.entries(sizes).map(([digest, size]) => [digest, { digest, size, read: async () => new Uint8Array() }])),
});

it("counts what went once, and what was there apart", () => {
  const upload = new Upload(work({ a: 100, b: 50 }));
  upload.asked("a", 40);
  expect(upload.sent("a", 60)).toEqual({ bytes: 60, bytesInAll: 150, thereBefore: 40 });
  // a link was cut: it is asked for again from where it is
  upload.asked("a", 50);
  expect(upload.sent("a", 60).bytes).toBe(60);
  expect(upload.sent("a", 100).bytes).toBe(100);
  upload.asked("b", 0);
  expect(upload.sent("b", 50)).toEqual({ bytes: 150, bytesInAll: 150, thereBefore: 40 });
  upload.asked("nothing of the job", 30);
  expect(upload.sent("b", 50).bytes).toBe(150);
});

it("says that all was there once the server has all and has asked for nothing, and says it once", () => {
  const upload = new Upload(work({ a: 100, b: 50 }));
  expect(upload.whole()).toEqual({ bytes: 150, bytesInAll: 150, thereBefore: 150 });
  expect(upload.whole()).toBeNull();
  const some = new Upload(work({ a: 100, b: 50 }));
  some.asked("a", 30);
  some.sent("a", 100);
  expect(some.whole()).toEqual({ bytes: 150, bytesInAll: 150, thereBefore: 80 });
});

it("counts nothing of what every server has itself", () => {
  expect(new Upload(work({ [PYTHON.digest]: 1_000 })).whole()).toBeNull();
  expect(new Upload(null).whole()).toBeNull();
});
