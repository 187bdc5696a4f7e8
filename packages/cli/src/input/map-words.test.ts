import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { argsAndInputs, argsFor, assertApart, filesMeant, namesFrom, shownAs, takesInputs } from "./map-words.ts";
import { mapInput } from "./verbs/map.ts";

function read(...argv: string[]) {
  const command = new Command("map").exitOverride();
  mapInput.declare(command);
  takesInputs(command);
  command.action(() => {});
  command.parse(argv, { from: "user" });
  const { file, words, parallel, label } = mapInput.read(command);
  return { file, parallel, label, ...argsAndInputs(words) };
}

describe("the words behind map", () => {
  it.each<[string[], object]>([
    [["s.py", "a", "b"], { args: [], inputs: ["a", "b"] }],
    [["-P", "3", "s.py", "--", "a"], { args: [], inputs: ["a"], parallel: 3 }],
    [["s.py", "{}", "--", "a"], { args: ["{}"], inputs: ["a"] }],
    [
      ["s.py", "--label", "x", "--rounds", "2", "-P", "9", "{}", "--", "-a", "--"],
      { label: "x", args: ["--rounds", "2", "-P", "9", "{}"], inputs: ["-a", "--"] },
    ],
    [["--array", "0-3", "s.py", "--rounds", "2", "{}"], { args: [], inputs: ["--rounds", "2", "{}"] }],
    [["s.py", "-v", "--", "a"], { args: ["-v"], inputs: ["a"], parallel: 8 }],
  ])("%j", (argv, expected) => {
    expect(read(...argv)).toMatchObject({ file: "s.py", ...expected });
  });
});

it.each([
  [["-j", "4", "s.py", "--", "a"], "-j is no option here: -P COUNT"],
  [["-j4", "s.py", "--", "a"], "-j is no option here: -P COUNT"],
  [["--label", "x", "--jobs=4", "s.py", "--", "a"], "--jobs is no option here: -P COUNT"],
])("%j: what others call an option is said as it is here", (argv, says) => {
  expect(() => read(...argv)).toThrow(says);
});

it("leaves the program its own options, whatever others mean by them", () => {
  expect(read("-P4", "s.py", "-j", "2", "--", "a")).toMatchObject({ parallel: 4, args: ["-j", "2"], inputs: ["a"] });
});

it("puts a name for each {} as it is, or behind the arguments", () => {
  expect(argsFor(["-f", "{}={}"], "/in/a$$b$&.csv")).toEqual(["-f", "/in/a$$b$&.csv=/in/a$$b$&.csv"]);
  expect(argsFor(["-v"], "/in/a")).toEqual(["-v", "/in/a"]);
});

describe("the files that are meant", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-map-"));
    await mkdir(path.join(folder, "sub.csv"));
    for (const name of ["b.csv", "a.csv", "[1].csv", "c.txt"]) await writeFile(path.join(folder, name), "");
  });
  afterAll(() => rm(folder, { recursive: true }));
  const meant = async (...typed: string[]): Promise<string[]> =>
    (await filesMeant(typed.map((each) => path.join(folder, each)))).map((each) => path.relative(folder, each));

  it("are those of a pattern in order, without folders, each once; a name that is there is no pattern", async () => {
    expect(await meant("*.csv")).toEqual(["[1].csv", "a.csv", "b.csv"]);
    expect(await meant("c.txt", "[1].csv", "*.csv")).toEqual(["c.txt", "[1].csv", "a.csv", "b.csv"]);
  });

  it("are said to be missing, one and all", async () => {
    await expect(meant("a.csv", "d.csv")).rejects.toThrow(/there is no file .*d\.csv/);
    await expect(meant("*.tsv")).rejects.toThrow(/no file here is called as .*\*\.tsv says/);
    await expect(meant("sub.csv")).rejects.toThrow(/sub\.csv is a folder: name the files in it, '.*sub\.csv\/\*'/);
    await expect(filesMeant([])).rejects.toThrow(/say which files/);
  });

  it("are all that a pattern finds but folders: what is no file, or has a name that is no text, is not passed over", async () => {
    const odd = await mkdtemp(path.join(folder, "odd-"));
    const all = (): Promise<string[]> => filesMeant([path.join(odd, "*")]);
    await symlink("nowhere", path.join(odd, "dangling"));
    await expect(all()).rejects.toThrow(/there is no file .*dangling/);
    await rm(path.join(odd, "dangling"));
    await writeFile(Buffer.concat([Buffer.from(`${odd}/`), Buffer.of(0xff)]), "");
    await expect(all()).rejects.toThrow(/its name is not UTF-8/);
  });

  it("are said to follow -- by those who write :::", async () => {
    await expect(filesMeant([":::", "a"])).rejects.toThrow("write -- in place of :::");
  });

  it("are those that are piped in, by their very names, a line or a NUL each", async () => {
    async function* piped(text: string) {
      for (const byte of Buffer.from(text)) yield Uint8Array.of(byte);
    }
    const at = (name: string): string => path.join(folder, name);
    expect(await namesFrom(piped(`${at("[1].csv")}\r\n\n${at("b.csv")}`), false)).toEqual([at("[1].csv"), at("b.csv")]);
    await writeFile(at("a\nb"), "");
    expect(await namesFrom(piped(`${at("a\nb")}\0${at("b.csv")}\0`), true)).toEqual([at("a\nb"), at("b.csv")]);
    await expect(namesFrom(piped(at("*.csv")), false)).rejects.toThrow(/there is no file/);
    await expect(namesFrom(piped("\n"), false)).rejects.toThrow(/no name was piped in/);
    await expect(namesFrom(piped(at("sub.csv")), false)).rejects.toThrow(/is a folder/);
  });

  it("are no more than there is room for, whatever writes them", async () => {
    async function* endless() {
      for (;;) yield new Uint8Array(1024 * 1024).fill(97);
    }
    await expect(namesFrom(endless(), false)).rejects.toThrow(/more than 16 MiB/);
  });

  it("are shown by their names alone, but where two have the same", () => {
    expect(["a/x", "b/x", "c/y"].map(shownAs(["a/x", "b/x", "c/y"]))).toEqual(["a/x", "b/x", "y"]);
  });

  it("do not share a folder of results", () => {
    expect(() => assertApart(["a/x", "b/y"])).not.toThrow();
    expect(() => assertApart(["a/x", "b/x"])).toThrow("a/x and b/x would both come to DIR/x");
  });
});
