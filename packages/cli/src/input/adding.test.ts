/** Options whose values are lists: what is typed again adds to what was typed before, and takes nothing of it away. */
import { Command } from "commander";
import { expect, it } from "vitest";
import { mapInput } from "./verbs/map.ts";
import { runInput } from "./verbs/run.ts";
import { tokenCreateInput } from "./verbs/token.ts";
import type { Input } from "./verb.ts";

function read<T>(input: Input<T>, ...argv: string[]): T {
  const command = new Command("verb").exitOverride();
  input.declare(command);
  command.action(() => {});
  command.parse(argv, { from: "user" });
  return input.read(command);
}
const [A, B] = ["a".repeat(64), "b".repeat(64)];

it("has a run wait for all leases that are named, and keep to all conditions and names", () => {
  const { after, where, egress } = read(
    runInput,
    ...["--after", A, "--after", B, "--where", "score>=500", "--where", "cpu>=2", "--egress", "a.example", "--egress", "b.example", "s.py"],
  );
  expect([after, where.map(({ key }) => key), egress]).toEqual([[A, B], ["score", "cpu"], "a.example,b.example"]);
});

it("has a map run on all numbers, under all conditions", () => {
  const { array, where } = read(mapInput, ...["--array", "0-1", "--array", "5", "--where", "score>=500", "--where", "cpu>=2", "s.py"]);
  expect([array, where]).toEqual([[0, 1, 5], "score>=500 cpu>=2"]);
});

it("gives a token all scopes that are named", () => {
  expect(read(tokenCreateInput, ...["--label", "x", "--scopes", "spend", "--scopes", "read"])).toMatchObject({ scopes: ["spend", "read"] });
});
