/** Words of other tools lead to verbs that are there, and stand in no verb's way. */
import { expect, it } from "vitest";
import { program } from "../program.ts";
import { OTHER_WORDS } from "./other-words.ts";

it.each([...OTHER_WORDS])("%s: %s", async (word, says) => {
  const xeno = await program();
  const find = (within: typeof xeno, name: string) => within.commands.find((each) => each.name() === name || each.alias() === name);
  expect(find(xeno, word)).toBeUndefined();
  const [first = "", ...names] = says.split(" ");
  expect(first).toBe("xeno");
  const verb = find(xeno, names[0]!);
  expect(verb).toBeDefined();
  if (verb!.commands.length > 0 && /^[a-z]/u.test(names[1] ?? "")) expect(find(verb!, names[1]!)).toBeDefined();
  for (const option of names.filter((each) => each.startsWith("-")))
    expect(verb!.options.map(({ long, short }) => [long, short]).flat()).toContain(option);
});
