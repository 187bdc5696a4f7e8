import { expect, it } from "vitest";
import { Upload } from "./upload.ts";

it("counts what went once, and what was there apart", () => {
  const upload = new Upload(
    new Map([
      ["a", { size: 100 }],
      ["b", { size: 50 }],
    ]),
  );
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
