/** A job that does not fit is refused before its order, in words that name what would help; at each limit one still fits (rule B3). */
import { describe, expect, it } from "vitest";
import type { ChannelMount, InputEntry } from "./channel/channel-messages.ts";
import type { JobSpec } from "./ids.ts";
import { JOB_LIMITS, fileCost, jobMisfit, treeCost } from "./job-fit.ts";

const MIB = 1024 * 1024;
const digest = (letter: string): string => letter.repeat(64);
const SPEC: JobSpec = {
  ...{ module: digest("a"), args: ["--fast"], env: [["LANG", "C"]], inputs: digest("0"), stdin: digest("b"), engine: "e", preopens: [] },
  ...{ memoryMibMax: 16, diskMibMax: 16, outputMibMax: 1, fuelMax: "100000000000", seed: digest("0"), clockBaseMs: 0 },
};

interface Brought {
  spec?: Partial<JobSpec>;
  entries?: InputEntry[];
  mounts?: ChannelMount[];
  stdinSize?: number;
  moduleSize?: number;
}
const mount = (path: string): ChannelMount => ({ path, writable: true, keep: true });
const why = ({ spec = {}, entries = [], mounts = [mount("/in")], stdinSize = 0, moduleSize = 10 }: Brought): string | null =>
  jobMisfit({ spec: { ...SPEC, ...spec }, inputs: { entries, mounts }, stdinSize, moduleSize });

const file = (path: string, size = 1, of = "c"): InputEntry => ({ path, kind: "file", digest: digest(of), size });
const folder = (path: string): InputEntry => ({ path, kind: "directory" });
const link = (path: string, target: string): InputEntry => ({ path, kind: "link", target });
const many = (count: number, entry: (i: number) => InputEntry): InputEntry[] => Array.from({ length: count }, (_, i) => entry(i));

/** Links whose paths and targets take so many bytes of the tree's own, with their folder, escaped. */
function linksOf(treeBytes: number): InputEntry[] {
  const each = JOB_LIMITS.treeEntryBytes + "in/1000".length;
  const most = "\\u0001".length * JOB_LIMITS.targetBytes;
  const rest = treeBytes - JOB_LIMITS.treeEntryBytes - "in".length;
  const full = Math.floor(rest / (each + most));
  const last = rest - full * (each + most) - each;
  const escaping = (bytes: number): string => "\u0001".repeat(Math.floor(bytes / 6)) + "t".repeat(bytes % 6);
  return many(full + 1, (i) => link(`in/${1_000 + i}`, escaping(i < full ? most : last)));
}

/** Arguments that take so many bytes with the NUL behind each. */
const args = (bytes: number): string[] => [
  ...Array.from({ length: Math.floor(bytes / 131_072) }, () => "x".repeat(131_071)),
  ...(bytes % 131_072 === 0 ? [] : ["x".repeat((bytes % 131_072) - 1)]),
];

describe("a job fits", () => {
  it.each<[string, Brought]>([
    [
      "with files, folders and links",
      { entries: [folder("in/d"), file("in/d/f", 70_000), link("in/l", "d/f"), file("in/not/listed/f", 1, "d")] },
    ],
    ["with nothing but its module", { mounts: [], spec: { args: [], env: [], diskMibMax: 0 } }],
    ["with folders to write to and no disk", { mounts: [mount("/out"), mount("/tmp/x")], spec: { diskMibMax: 0 } }],
    ["with a folder that comes twice", { entries: [folder("in/d"), folder("in/d"), folder("in/d/e")] }],
    ["with one content under two names", { entries: [file("in/a", 5), file("in/b", 5)] }],
    ["with its standard input among its files", { stdinSize: 5, entries: [file("in/a", 5, "b")] }],
    ["with a name of 255 bytes", { entries: [file(`in/${"é".repeat(127)}x`)] }],
    ["with a name of 255 bytes, three a letter", { entries: [file(`in/${"€".repeat(85)}`)] }],
    ["with a name of 255 bytes, four a letter", { entries: [file(`in/${"😀".repeat(63)}xyz`)] }],
    ["with folders of a mount of 255 bytes", { mounts: [mount(`/${"n".repeat(255)}/${"n".repeat(255)}`)] }],
    ["with a path of 4094 bytes", { entries: [file(`in/${"d/".repeat(2_045)}f`)] }],
    ["with a link to 4095 bytes", { entries: [link("in/l", "t".repeat(4_095))] }],
    ["with equals signs in arguments and values", { spec: { args: ["--a=b"], env: [["A", "b=c"]] } }],
    ["with 32 MiB of names and targets", { entries: linksOf(32 * MIB), spec: { diskMibMax: 128 } }],
    ["with 2 MiB of arguments", { spec: { args: args(2 * MIB), env: [] } }],
    ["with a module of 128 MiB", { moduleSize: 128 * MIB, spec: { memoryMibMax: 128 } }],
    ["with a module as large as memory and disk", { moduleSize: 32 * MIB }],
    ["with a module that the server has", { moduleSize: 0, entries: [file("in/a", 5, "a")] }],
    ["with standard input as large as its disk", { mounts: [], stdinSize: 16 * MIB }],
    ["with a file, its name and standard input as large as its disk", { entries: [file("in/a")], stdinSize: 16 * MIB - 1_218 }],
    ["with a module as large as memory and what files leave of the disk", { moduleSize: 32 * MIB - 1, stdinSize: 1 }],
    ["with 64 MiB of output", { spec: { outputMibMax: 64 } }],
    ["with as much output as memory and disk", { spec: { memoryMibMax: 100, diskMibMax: 50, outputMibMax: 150 } }],
    ["with all the memory that there is", { spec: { memoryMibMax: 4_096 } }],
    ["with all the disk that there is", { spec: { diskMibMax: 65_536 } }],
  ])("%s", (_what, brought) => {
    expect(why(brought)).toBeNull();
  });
});

describe("a job does not fit what is ordered", () => {
  it.each<[string, Brought, string]>([
    [
      "more memory than there is",
      { spec: { memoryMibMax: 4_097 } },
      "WebAssembly has 4096 MiB of memory at most, not 4097: order less (--mem)",
    ],
    [
      "more disk than there is",
      { spec: { diskMibMax: 65_537 } },
      "a job's files can take 65536 MiB at most, not 65537: order less (--disk)",
    ],
    [
      "files larger than the disk",
      { entries: [file("in/a", 17 * MIB)] },
      "files, their names and standard input take 18 MiB of the 16 MiB of disk: order more (--disk)",
    ],
    [
      "files that fill the disk, and their names",
      { entries: [file("in/a", 16 * MIB)] },
      "files, their names and standard input take 17 MiB of the 16 MiB of disk: order more (--disk)",
    ],
    [
      "a file, its name and standard input larger than the disk",
      { entries: [file("in/a")], stdinSize: 16 * MIB - 1_217 },
      "files, their names and standard input take 17 MiB of the 16 MiB of disk: order more (--disk)",
    ],
    [
      "standard input larger than the disk",
      { stdinSize: 16 * MIB + 1 },
      "files, their names and standard input take 17 MiB of the 16 MiB of disk: order more (--disk)",
    ],
    [
      "an empty folder and no disk",
      { entries: [folder("in/d")], spec: { diskMibMax: 0 } },
      "files, their names and standard input take 1 MiB of the 0 MiB of disk: order more (--disk)",
    ],
    [
      "a module larger than memory and disk",
      { moduleSize: 32 * MIB + 1 },
      "the module has 33 MiB; the memory and what is left of the disk are less: order more (--mem or --disk)",
    ],
    [
      "a module larger than memory and what files leave of the disk",
      { moduleSize: 32 * MIB, stdinSize: 1 },
      "the module has 32 MiB; the memory and what is left of the disk are less: order more (--mem or --disk)",
    ],
    [
      "more output than anybody may leave",
      { spec: { outputMibMax: 65 } },
      "65 MiB of output are more than memory and disk together: order less (--max-output) or more of them",
    ],
    [
      "more output than memory and disk",
      { spec: { memoryMibMax: 100, diskMibMax: 50, outputMibMax: 151 } },
      "151 MiB of output are more than memory and disk together: order less (--max-output) or more of them",
    ],
  ])("%s: the option is named", (_what, brought, words) => {
    expect(why(brought)).toBe(words);
  });
});

describe("a job fits no order", () => {
  const noText = "an argument or a variable of the environment is no text";
  const twoSizes = "the same bytes are brought with two sizes";
  it.each<[string, Brought, string]>([
    [
      "a module larger than any",
      { moduleSize: 128 * MIB + 1, spec: { memoryMibMax: 4_096 } },
      "the module has 129 MiB; 128 MiB are possible",
    ],
    ["many arguments", { spec: { args: Array.from({ length: 1_025 }, () => "a") } }, "more than 1024 arguments or variables: bring a file"],
    ["an argument that is no text", { spec: { args: ["\ud800"] } }, noText],
    ["an argument with a NUL", { spec: { args: ["a\0b"] } }, noText],
    ["a value with a NUL", { spec: { env: [["A", "b\0c"]] } }, noText],
    ["a value that is no text", { spec: { env: [["A", "\udfff"]] } }, noText],
    ["a variable whose name has a NUL", { spec: { env: [["A\0", "b"]] } }, noText],
    ["a variable whose name is no text", { spec: { env: [["\ud800", "b"]] } }, noText],
    ["a variable with an equals sign", { spec: { env: [["A=B", "c"]] } }, noText],
    [
      "arguments over 2 MiB",
      { spec: { args: [...args(2 * MIB), ""], env: [] } },
      "arguments and environment take 2097153 bytes; 2097152 are possible: bring a file",
    ],
    [
      "an environment over 2 MiB, in bytes",
      { spec: { args: [], env: Array.from({ length: 1_024 }, (_, i): [string, string] => [`V${i % 10}`, "é".repeat(1_024)]) } },
      "arguments and environment take 2101248 bytes; 2097152 are possible: bring a file",
    ],
    ["one content with two sizes", { entries: [file("in/a", 1), file("in/b", 2)] }, twoSizes],
    ["standard input with another size than a file of its content", { stdinSize: 5, entries: [file("in/a", 6, "b")] }, twoSizes],
    ["a module with another size than a file of its content", { moduleSize: 5, entries: [file("in/a", 6, "a")] }, twoSizes],
    ["a module with another size than standard input of its content", { moduleSize: 5, spec: { stdin: digest("a") } }, twoSizes],
  ])("%s", (_what, brought, words) => {
    expect(why(brought)).toBe(words);
  });

  it.each<[string, Brought, RegExp]>([
    ["a seed that is none", { spec: { seed: "00" } }, /^the job cannot be sent: seed: ./],
    ["a path out of its folder", { entries: [file("in/../x")] }, /^the files that are brought cannot be sent: entries\.0\.path: must be/],
    ["a folder above its own", { mounts: [mount("/in/..")] }, /^the files that are brought cannot be sent: mounts\.0\.path: ./],
    [
      "a file larger than any",
      { entries: [file("in/a", 65_536 * MIB + 1)] },
      /^the files that are brought cannot be sent: entries\.0\.size: ./,
    ],
  ])("%s cannot be sent", (_what, brought, words) => {
    expect(why(brought)).toMatch(words);
  });
});

describe("what is brought", () => {
  const tooMany = "more than 100000 files, folders and links are brought; pack them into an archive";
  const tooLong = "the names of the files that are brought are too long in all; pack them into an archive";
  it.each<[string, Brought, string]>([
    ["two folders at one place", { mounts: [mount("/in"), mount("/in")] }, "two folders are brought to the same place"],
    ["a folder whose path is no text", { mounts: [mount("/\ud800")] }, "a folder's path is no text"],
    [
      "one name for two open folders",
      {
        mounts: [mount("/in"), mount("/out")],
        spec: {
          preopens: [
            ["/", "/in"],
            ["/", "/out"],
          ],
        },
      },
      "two folders are open under the same name",
    ],
    [
      "a folder to be open that is nowhere",
      { mounts: [mount("/in")], spec: { preopens: [["/", "/out"]] } },
      "the folder /out is to be open and is not there",
    ],
    [
      "an open folder whose name is no text",
      { mounts: [mount("/in")], spec: { preopens: [["a\0", "/in"]] } },
      "the name of an open folder is no text",
    ],
    [
      "a folder inside another",
      { mounts: [mount("/in/deep/data"), mount("/in")] },
      "the folder /in/deep/data lies inside /in; give it another place",
    ],
    ["a folder with a long name", { mounts: [mount(`/${"é".repeat(128)}`)] }, `the name ${"é".repeat(60)}... is longer than 255 bytes`],
    ["a name of 256 bytes", { entries: [file(`in/${"é".repeat(128)}`)] }, `the name ${"é".repeat(60)}... is longer than 255 bytes`],
    [
      "a name of 256 bytes, three a letter",
      { entries: [file(`in/${"€".repeat(85)}x`)] },
      `the name ${"€".repeat(60)}... is longer than 255 bytes`,
    ],
    [
      "a name of 256 bytes, four a letter",
      { entries: [file(`in/${"😀".repeat(64)}`)] },
      `the name ${"😀".repeat(30)}... is longer than 255 bytes`,
    ],
    [
      "a name that is cut inside a letter, whole",
      { entries: [file(`in/x${"😀".repeat(64)}`)] },
      `the name x${"😀".repeat(29)}\ufffd... is longer than 255 bytes`,
    ],
    [
      "a long name of a folder that is not listed",
      { entries: [file(`in/${"n".repeat(256)}/f`)] },
      `the name ${"n".repeat(60)}... is longer than 255 bytes`,
    ],
    [
      "a path of 4095 bytes",
      { entries: [file(`in/${"d/".repeat(2_045)}ff`)] },
      `the path in/${"d/".repeat(28)}d... is longer than 4095 bytes`,
    ],
    ["a path that is no text", { entries: [file("in/\ud800")] }, "in/\ufffd has a name that is no text"],
    ["a link to what is no text", { entries: [link("in/l", "\ud800")] }, "in/l has a name that is no text"],
    ["a link with a NUL", { entries: [link("in/l", "a\0b")] }, "in/l has a name that is no text"],
    ["a link to more than a path", { entries: [link("in/l", "é".repeat(2_048))] }, "the link in/l points to more than 4095 bytes"],
    ["a file beside every folder", { entries: [file("elsewhere/f")] }, "elsewhere/f lies in no folder that is brought"],
    ["a file in place of a folder", { entries: [file("in")] }, "in lies in no folder that is brought"],
    ["a file in a file", { entries: [file("in/a"), file("in/a/b")] }, "in/a/b lies in in/a, which is no folder"],
    ["a file deep behind a link", { entries: [link("in/l", "x"), file("in/l/b/c")] }, "in/l/b/c lies in in/l, which is no folder"],
    [
      "a file twice, with a name that can be shown whole",
      { entries: [file(`in/${"n".repeat(57)}`), file(`in/${"n".repeat(57)}`)] },
      `in/${"n".repeat(57)} is brought twice`,
    ],
    [
      "a file twice, with a name that cannot",
      { entries: [file(`in/${"n".repeat(58)}`), file(`in/${"n".repeat(58)}`)] },
      `in/${"n".repeat(57)}... is brought twice`,
    ],
    ["a file twice", { entries: [file("in/a"), file("in/a")] }, "in/a is brought twice"],
    ["a file and a folder at one place", { entries: [folder("in/a"), file("in/a")] }, "in/a is brought twice"],
    ["a link in place of a folder that is needed", { entries: [file("in/a/b"), link("in/a", "b")] }, "in/a is brought twice"],
    ["what a terminal would obey", { entries: [file("in/\u001b[2J"), file("in/\u001b[2J")] }, "in/?[2J is brought twice"],
    ["more than can be listed", { entries: many(100_001, (i) => folder(`in/${i}`)) }, tooMany],
    ["names and targets over 32 MiB", { entries: linksOf(32 * MIB + 1) }, tooLong],
  ])("is refused in words: %s", (_what, brought, words) => {
    expect(why(brought)).toBe(words);
  });

  it("may be 100,000 entries with the folder that they lie in", () => {
    const mounts = [mount("/in")];
    const entries = many(99_999, (i) => folder(`in/${i}`));
    const tree = treeCost({ entries, mounts });
    expect(tree.ok && tree.cost.entries).toBe(100_000);
    expect(treeCost({ entries: [...entries, folder("in/more")], mounts })).toEqual({ ok: false, why: tooMany });
  });

  it("is counted entry by entry", () => {
    const { nodeBytes, entryBytes, textCost, treeEntryBytes } = JOB_LIMITS;
    const inputs = { entries: [file("in/sub/é", 1), link("in/l", '"x"')], mounts: [mount("/in")] };
    expect(treeCost({ entries: [], mounts: inputs.mounts })).toEqual({
      ok: true,
      cost: { usedBytes: 0, entries: 1, treeBytes: treeEntryBytes + 2 },
    });
    expect(treeCost(inputs)).toEqual({
      ok: true,
      cost: {
        usedBytes: 3 * (nodeBytes + entryBytes) + textCost * (3 + 2 + 1) + fileCost(1) + textCost * 3,
        entries: 4,
        treeBytes: 4 * treeEntryBytes + 2 + 6 + 9 + 4 + 5,
      },
    });
  });

  it("is counted in bytes, and in the letters that escape them", () => {
    const { treeEntryBytes } = JOB_LIMITS;
    const treeBytesOf = (name: string): number => {
      const tree = treeCost({ entries: [file(`in/${name}`)], mounts: [mount("/in")] });
      return tree.ok ? tree.cost.treeBytes - 2 * treeEntryBytes - "in".length - "in/".length : -1;
    };
    const names = ["a", "\u007f", "\u0080", "\u07ff", "\u0800", "\uffff", "\u{10000}", "\u{10ffff}", "\u001f", "\u0020", '"', "\\"];
    expect(names.map(treeBytesOf)).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 6, 1, 2, 2]);
  });

  it("has the folders above its own counted once", () => {
    const mounts = [mount("/a/b"), mount("/a/c")];
    const cost = { usedBytes: 0, entries: 3, treeBytes: 3 * JOB_LIMITS.treeEntryBytes + "a".length + "a/b".length + "a/c".length };
    expect(treeCost({ entries: [], mounts })).toEqual({ ok: true, cost });
  });

  it("has its folders counted once, whether they are listed or not", () => {
    const mounts = [mount("/in")];
    const listed = treeCost({ entries: [folder("in/d"), folder("in/d/e"), file("in/d/e/f"), folder("in/d")], mounts });
    expect(listed.ok && listed.cost.entries).toBe(4);
    expect(treeCost({ entries: [file("in/d/e/f"), folder("in/d"), folder("in/d/e")], mounts })).toEqual(listed);
  });

  it("lies below a name", () => {
    const tree = treeCost({ entries: [file("/f")], mounts: [mount("/in")] });
    expect(tree).toEqual({ ok: false, why: "/f lies in no folder that is brought" });
  });

  it("may hold a file as large as any", () => {
    const tree = treeCost({ entries: [file("in/a", 65_536 * MIB)], mounts: [mount("/in")] });
    expect(tree.ok && tree.cost.usedBytes).toBe(65_536 * MIB + JOB_LIMITS.nodeBytes + JOB_LIMITS.entryBytes + JOB_LIMITS.textCost);
  });

  it("holds no file larger than any, whoever asks", () => {
    const cost = treeCost({ entries: [file("in/a", 65_536 * MIB + 1)], mounts: [mount("/in")] });
    expect(cost).toEqual({ ok: false, why: "the file in/a is larger than 65536 MiB" });
  });

  it("takes whole pieces, and the rest in steps of an eighth", () => {
    expect([0, 1, 64, 65, 1_000, MIB - 1, MIB, MIB + 1].map(fileCost)).toEqual([0, 64, 64, 72, 1_024, MIB, MIB, MIB + 64]);
  });
});
