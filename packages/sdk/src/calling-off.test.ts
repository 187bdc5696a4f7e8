import { expect, it } from "vitest";
import { unlessOff } from "./calling-off.ts";

const never = new Promise<never>(() => {});

it("ends what is called off, with the caller's reason, and leaves the rest as it is", async () => {
  const off = new AbortController();
  const waiting = unlessOff(off.signal, never);
  off.abort(new Error("enough"));
  await expect(waiting).rejects.toMatchObject({ name: "AbortError", code: "aborted", money: "none", cause: new Error("enough") });
  expect(await unlessOff(new AbortController().signal, Promise.resolve(1))).toBe(1);
  expect(await unlessOff(undefined, Promise.resolve(2))).toBe(2);
});

it("reports no rejection that nobody waits for", async () => {
  const late = Promise.withResolvers<never>();
  await expect(unlessOff(AbortSignal.abort(), late.promise)).rejects.toMatchObject({ code: "aborted" });
  late.reject(new Error("late"));
});
