import { expect, it } from "vitest";
import { askedTogether } from "./asked-together.ts";

it("who asks while it is looked up hears of the next look-up, all of them of the same one", async () => {
  const answers: { resolve: (value: string) => void; reject: (why: Error) => void }[] = [];
  const ask = askedTogether(() => new Promise<string>((resolve, reject) => answers.push({ resolve, reject })));
  const first = ask();
  while (answers.length < 1) await Promise.resolve();
  const others = [ask(), ask(), ask()];
  answers[0]?.resolve("before");
  expect(await first).toBe("before");
  while (answers.length < 2) await Promise.resolve();
  const last = ask();
  answers[1]?.resolve("after");
  expect(await Promise.all(others)).toEqual(["after", "after", "after"]);
  while (answers.length < 3) await Promise.resolve();
  answers[2]?.reject(new Error("away"));
  await expect(last).rejects.toThrow("away");
  const again = ask();
  while (answers.length < 4) await Promise.resolve();
  answers[3]?.resolve("back");
  expect([await again, answers.length]).toEqual(["back", 4]);
});
