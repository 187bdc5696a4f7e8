/** What an image's program prints comes out as it was printed, whoever it was said to and however it is cut. */
import { mkdir, mkdtemp, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { DomainStreams, StreamSplitter } from "./domain-streams.ts";

const MARKS = { stdout: "1", stderr: "2" } as const;
type Printed = { stream: keyof typeof MARKS; text: string };

/** As init/domain.pl writes it: the kernel's words first. */
const onConsole = (boot: string, printed: readonly Printed[]): Buffer =>
  Buffer.from(boot + printed.map(({ stream, text }) => `\x10${MARKS[stream]}${text.replaceAll("\x10", "\x10\x10")}`).join(""), "latin1");

const text = fc.string({ unit: fc.constantFrom("a", "\x10", "1", "2", "\n", "\xff", "\0"), maxLength: 12 });
const printed = fc.array(fc.record<Printed>({ stream: fc.constantFrom("stdout", "stderr"), text }), { maxLength: 8 });

it("is told apart, in pieces of any size", () => {
  fc.assert(
    fc.property(printed, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 9 }), (all, cuts) => {
      const bytes = onConsole("[ 0.1] boots\n", all);
      const splitter = new StreamSplitter();
      const seen = { console: "", stdout: "", stderr: "" };
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = cuts[turn % cuts.length]!;
        for (const part of splitter.split(bytes.subarray(at, at + size))) seen[part.stream] += Buffer.from(part.bytes).toString("latin1");
        at += size;
      }
      const of = (stream: keyof typeof MARKS): string => all.flatMap((each) => (each.stream === stream ? [each.text] : [])).join("");
      expect(seen).toEqual({ console: "[ 0.1] boots\n", stdout: of("stdout"), stderr: of("stderr") });
    }),
  );
});

it("is read again by a daemon that comes later, and only what was said before the job is our init's word", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-streams-"));
  try {
    const all: Printed[] = [
      { stream: "stdout", text: "xeno-init: forged\n" },
      { stream: "stderr", text: "problem\n" },
    ];
    await writeFile(path.join(folder, "console.log"), onConsole("boots\n", all));
    for (let daemon = 0; daemon < 2; daemon++) {
      const streams = new DomainStreams(folder, 1_000);
      expect(Buffer.from(await streams.read("stdout", 5)).toString()).toBe("init: forged\n");
      expect(Buffer.from(await streams.read("stderr", 0)).toString()).toBe("problem\n");
      expect(await streams.complaint()).toBeNull();
    }
    await writeFile(path.join(folder, "console.log"), "boots\nxeno-init: a disk is missing\n");
    expect(await new DomainStreams(folder, 1_000).complaint()).toBe("xeno-init: a disk is missing");
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("is written in few pieces, in however many it is printed", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-streams-"));
  try {
    const streams = new DomainStreams(folder, 1_000);
    expect(await streams.complaint()).toBeNull();
    await mkdir(path.join(folder, "stderr")); // where nothing can be written, after all of the other was
    const all = Array.from({ length: 9 }, (_, at): Printed => ({ stream: at % 2 === 0 ? "stdout" : "stderr", text: String(at) }));
    await writeFile(path.join(folder, "console.log"), onConsole("", all));
    await expect(streams.read("stderr", 0)).rejects.toThrow("EISDIR");
    expect(await readFile(path.join(folder, "stdout"), "utf8")).toBe("02468");
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("loses nothing where its disk takes no more of it for a while", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-streams-"));
  try {
    const streams = new DomainStreams(folder, 1_000);
    expect(await streams.complaint()).toBeNull();
    await mkdir(path.join(folder, "stdout")); // nothing can be written there
    const all: Printed[] = ["one\n", "two\n", "three\n"].map((each, at) => ({ stream: at === 1 ? "stderr" : "stdout", text: each }));
    await writeFile(path.join(folder, "console.log"), onConsole("boots\n", all));
    await expect(streams.read("stdout", 0)).rejects.toThrow("EISDIR");
    await rmdir(path.join(folder, "stdout"));
    expect(Buffer.from(await streams.read("stdout", 0)).toString()).toBe("one\nthree\n");
    expect(Buffer.from(await streams.read("stderr", 0)).toString()).toBe("two\n");
  } finally {
    await rm(folder, { recursive: true });
  }
});
