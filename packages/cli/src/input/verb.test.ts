import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { InputError, given, parseAmount } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";
import { countTo, parseParty, parseServer } from "./parse.ts";
import { leaseOrFileWord, leaseWord, leaseWords } from "./lease-words.ts";
import {
  type Input,
  choice,
  choiceOr,
  flag,
  inputOf,
  many,
  maybe,
  needed,
  rest,
  text,
  textOr,
  value,
  valueOr,
  verb,
  word,
  wordAs,
} from "./verb.ts";

/** Reads these words as the verb's. */
function read<T>(input: Input<T>, argv: string[]): T {
  const command = new Command("verb").exitOverride().configureOutput({ writeErr: () => {} });
  input.declare(command);
  command.action(() => {});
  command.parse(argv, { from: "user" });
  return input.read(command);
}

const input = inputOf(
  { file: word, count: wordAs(countTo(9)), more: rest },
  {
    json: flag("--json", ""),
    out: text("--out <dir>", ""),
    name: textOr("--name <name>", "", "nobody"),
    budget: valueOr("--budget <amount>", "", "1.00", parseAmount),
    maxPrice: value("--max-price <amount>", "", parseAmount),
    env: many("--env <pair>", ""),
    on: choiceOr("--on <whose>", "", ["mine", "market"], "market"),
    pay: choice("--pay <terms>", "", ["on-result", "by-interval"]),
  },
);

describe("a verb's input", () => {
  it("is read by each part's own reader, with what holds where nothing is said", () => {
    expect(read(input, ["f", "3"])).toEqual({
      ...{
        file: "f",
        count: 3,
        more: [],
        json: false,
        out: null,
        name: "nobody",
        budget: 1_000_000_000n,
        maxPrice: null,
        env: [],
        on: "market",
        pay: null,
      },
    });
    const all = [
      "f",
      "3",
      "a",
      "b",
      "--json",
      "--out",
      "d",
      "--name",
      "n",
      "--budget",
      "0.5",
      "--max-price",
      "2",
      "--env",
      "A=1",
      "--env",
      "B=2",
    ];
    expect(read(input, [...all, "--on", "mine", "--pay", "by-interval"])).toEqual({
      ...{
        file: "f",
        count: 3,
        more: ["a", "b"],
        json: true,
        out: "d",
        name: "n",
        budget: 500_000_000n,
        maxPrice: 2_000_000_000n,
        env: ["A=1", "B=2"],
      },
      ...{ on: "mine", pay: "by-interval" },
    });
  });

  it("names the option, and what it should have been, where something cannot be read", () => {
    expect(() => read(input, ["f", "3", "--budget", "much"])).toThrow(new InputError("--budget 'much' is not an amount; write 0.50"));
    expect(() => read(input, ["f", "10"])).toThrow(new InputError("count '10' must be a number from 1 to 9"));
    expect(() => read(input, ["f", "3", "--on", "theirs"])).toThrow(/Allowed choices are mine, market/);
  });

  it("takes a lease or a file, and of one name the file", () => {
    const either = inputOf({ leaseOrFile: leaseOrFileWord }, {});
    const taken = (text: string) => read(either, [text]).leaseOrFile;
    expect(["0a1b", "xeno-0a1b", "xeno-mine", "./xeno-0a1b", "xeno-0a1"].map(taken)).toEqual([
      "0a1b",
      "0a1b",
      "xeno-mine",
      "./xeno-0a1b",
      "xeno-0a1",
    ]);
    const [before, folder] = [process.cwd(), mkdtempSync(path.join(tmpdir(), "xeno-words-"))];
    process.chdir(folder);
    try {
      writeFileSync("xeno-0a1b", "{}");
      expect(taken("xeno-0a1b")).toBe("xeno-0a1b");
    } finally {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    }
  });

  it("takes a lease by the first letters of its id, and says what those are", () => {
    const one = inputOf({ lease: leaseWord, others: leaseWords }, {});
    expect(read(one, ["0a1b", "f".repeat(64)])).toEqual({ lease: "0a1b", others: ["f".repeat(64)] });
    // as ssh calls its machine, where a configuration of ssh's hands that on
    expect(read(one, ["xeno-0a1b", `xeno-${"f".repeat(12)}`])).toEqual({ lease: "0a1b", others: ["f".repeat(12)] });
    for (const odd of ["mine", "0a1", "", "0A1B", "/etc/passwd", "../0a1b", "f".repeat(65), "xeno-", "xeno-0a1", "xeno-xeno-0a1b"]) {
      expect(() => read(one, [odd]), odd).toThrow(`'${odd}' is no lease: write the first letters of its id`);
      expect(() => read(one, ["0a1b", odd]), odd).toThrow(UserError);
    }
  });

  it("takes whole ids of parties and servers, and says where they are shown", () => {
    const ids = inputOf({ party: wordAs(parseParty), server: wordAs(parseServer) }, {});
    const [party, server] = [`p_${"1".repeat(40)}`, `s_${"a".repeat(40)}`];
    expect(read(ids, [party, server])).toEqual({ party, server });
    expect(() => read(ids, ["p_1", server])).toThrow("'p_1' is no party: write its whole id");
    expect(() => read(ids, [party, party])).toThrow(`'${party}' is no server: write its whole id`);
  });

  it("refuses a verb without what it needs", () => {
    const needing = inputOf({ file: maybe }, { reason: needed("--reason <text>", "") });
    expect(() => read(needing, [])).toThrow(/required option '--reason <text>'/);
    expect(read(needing, ["--reason", "why"])).toEqual({ file: null, reason: "why" });
  });

  it("begins anew each time: nothing of an earlier command line is left", () => {
    expect(read(input, ["f", "3", "--env", "A=1"]).env).toEqual(["A=1"]);
    expect(read(input, ["f", "3"]).env).toEqual([]);
  });
});

it("runs a verb with what was read, and those below it", async () => {
  const seen: unknown[] = [];
  const below = verb(
    "below",
    "",
    async () => inputOf({ x: word }, {}),
    (got) => void seen.push(got),
  );
  const above = verb(
    "above",
    "",
    async () => inputOf({}, { json: flag("--json", "") }),
    (got) => void seen.push(got),
    { sub: [below], alias: "over" },
  );
  for (const argv of [["above", "--json"], ["over"], ["above", "below", "1"]]) {
    const root = new Command().enablePositionalOptions().exitOverride();
    await above.declare(root, true);
    await root.parseAsync(argv, { from: "user" });
  }
  expect(seen).toEqual([{ json: true }, { json: false }, { x: "1" }]);
});

it("leaves out what was not given, and keeps what is false or empty", () => {
  expect(given({ a: null, b: false, c: "", d: 0 })).toEqual({ b: false, c: "", d: 0 });
});
