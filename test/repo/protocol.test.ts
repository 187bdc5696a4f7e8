/** docs/protocol.md is true: every rule names a test that exists, every rule that code cites exists, and the table of states and facts is the code's. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { FACTS, LEASE_STATES } from "@xenoservers/market";
import { RULES } from "@xenoservers/verify";

const FILE = "docs/protocol.md";
const text = readFileSync(FILE, "utf8");
const rules = [...text.matchAll(/^\| ([A-Z]\d+) \| .+ \| (\S+) \|$/gm)].map(([, rule = "", test = ""]) => ({ rule, test }));

/** The table as it stands in the document: a row a fact, its roles, and the states that hear it. */
function statesAndFacts(): string {
  const rows = Object.entries(FACTS).map(([kind, { roles, in: states }]) => {
    const not = LEASE_STATES.filter((state) => !states.includes(state));
    const heard = not.length <= 2 ? `every state but ${not.join(", ")}` : states.join(", ");
    return `| ${kind} | ${roles.join(", ")} | ${heard} |`;
  });
  return ["| fact | who may say it | states that hear it |", "| --- | --- | --- |", ...rows].join("\n");
}

const sources = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !/node_modules|\.tsbuild/.test(entry.parentPath))
    .map((entry) => path.join(entry.parentPath, entry.name));

describe("the protocol document", () => {
  it("numbers each rule once", () => {
    expect(rules.length).toBeGreaterThan(25);
    expect(new Set(rules.map(({ rule }) => rule)).size).toBe(rules.length);
  });

  it.each(rules)("names a test that exists for $rule", ({ test }) => {
    expect(existsSync(test), test).toBe(true);
  });

  it("is cited by code only for rules that it has", () => {
    const known = new Set(rules.map(({ rule }) => rule));
    const cited = ["packages", "test"]
      .flatMap(sources)
      .flatMap((file) =>
        [...readFileSync(file, "utf8").matchAll(/\brules? ([A-Z]\d+)\b/g)].flatMap(([, rule = ""]) =>
          known.has(rule) ? [] : [`${file}: ${rule}`],
        ),
      );
    expect(cited).toEqual([]);
  });

  it.each(Object.entries(RULES))("has the rules by which a receipt's line is checked: %s", (_, named) => {
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((rule) => !rules.some((each) => each.rule === rule))).toEqual([]);
  });

  it("has the code's table of states and facts", () => {
    expect(text).toContain(statesAndFacts());
  });
});
