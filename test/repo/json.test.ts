/** What `--json` prints is documented for every verb that takes it, and for no other. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { program } from "../../packages/cli/src/program.ts";

const verbsOf = (command: Command, above = ""): string[] =>
  command.commands.flatMap((each) => {
    const name = `${above} ${each.name()}`.trim();
    return [...(each.options.some(({ long }) => long === "--json") ? [name] : []), ...verbsOf(each, name)];
  });

it("docs/ci.md has a row for every verb with --json", async () => {
  const table = readFileSync("docs/ci.md", "utf8").split("| verb | fields |")[1] ?? "";
  const told = [...table.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, names = ""]) =>
    [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
  );
  expect(told.toSorted()).toEqual(verbsOf(await program()).toSorted());
});
