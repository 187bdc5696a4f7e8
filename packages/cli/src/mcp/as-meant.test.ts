import { expect, it } from "vitest";
import { z } from "zod";
import { tool } from "./tool.ts";

const schema = z.strictObject({
  budget: z.string(),
  cpu: z.int().default(1),
  audit: z.boolean().default(false),
  mem: z.string().optional(),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
});
const echo = tool({ name: "echo", title: "", says: "", looks: true, schema, run: async (input) => input });
const asked = (input: unknown): Promise<unknown> => echo.call(input, {} as Parameters<typeof echo.call>[1]);

it.each([
  [{ budget: 5 }, { budget: "5" }],
  [{ budget: 0.05 }, { budget: "0.05" }],
  [
    { budget: "5.00", cpu: "2", audit: "true" },
    { budget: "5.00", cpu: 2, audit: true },
  ],
  [{ budget: "5", mem: null, cpu: null }, { budget: "5" }],
  [
    { budget: "5", args: ["-n", 3], env: { N: 1 } },
    { budget: "5", args: ["-n", "3"], env: { N: "1" } },
  ],
  [
    { budget: "5", args: '["a", 1]', env: '{"N":"1"}' },
    { budget: "5", args: ["a", "1"], env: { N: "1" } },
  ],
])("%j is taken as it is meant", async (input, taken) => {
  const defaults = { cpu: 1, audit: false, args: [], env: {} };
  expect(await asked(input)).toEqual({ ...defaults, ...taken });
});

it.each([
  [{ budget: true }, "'budget' of echo must be of the type string"],
  [{ budget: null }, "echo needs 'budget'"],
  [{ budget: "5", cpu: "two" }, "'cpu' of echo must be of the type number"],
  [{ budget: "5", cpu: 1.5 }, "'cpu' of echo must be of the type int"],
  [{ budget: "5", args: "-n 3" }, "'args' of echo must be of the type array"],
  [{ budget: "5", audit: 1 }, "'audit' of echo must be of the type boolean"],
  ["{}", "'' of echo must be of the type object"],
])("%j is refused in words", async (input, words) => {
  await expect(asked(input)).rejects.toThrow(words);
});
