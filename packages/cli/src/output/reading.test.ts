import { expect, test } from "vitest";
import { ProgressLine } from "./progress.ts";
import { ReadingLine } from "./reading.ts";

const MIB = 1024 * 1024;

function shown(each: (line: ReadingLine, tick: (ms: number) => void) => void): string[] {
  const said: string[] = [];
  let at = 0;
  const to = { isLog: false, now: () => at, over: (text: string) => void said.push(text), log: (text: string) => void said.push(text) };
  const line = new ReadingLine(new ProgressLine("reading", to));
  each(line, (ms) => void (at += ms));
  line.end();
  return said;
}

test("a large file is told of as it is read, its name where a narrow terminal cuts", () => {
  const said = shown((line, tick) => {
    for (let mib = 256; mib <= 2048; mib += 256) {
      tick(1_000);
      line.read({ name: "disk.img", bytes: mib * MIB, bytesInAll: 2048 * MIB });
    }
  });
  expect(said[0]).toBe("reading: 256.0 MiB of 2.0 GiB, 256.0 MiB/s, 7 s left (disk.img)");
  expect(said.slice(-2)).toEqual(["reading: 2.0 GiB of 2.0 GiB, 256.0 MiB/s (disk.img)", ""]);
});

test("many small files are told of together, from where it is felt on", () => {
  const said = shown((line, tick) => {
    for (let i = 0; i < 200; i++) {
      tick(10);
      line.read({ name: `${i}.csv`, bytes: MIB, bytesInAll: MIB });
    }
  });
  expect(said).toHaveLength(8);
  expect(said[0]).toBe("reading: 64.0 MiB in 64 files, 100.0 MiB/s");
});

test("of a script nothing is said, also behind a large file; two large ones are told of one by one", () => {
  expect(shown((line) => line.read({ name: "hello.py", bytes: 20, bytesInAll: 20 }))).toEqual([]);
  const said = shown((line, tick) => {
    for (const name of ["disk.img", "setup.iso"]) {
      tick(1_000);
      line.read({ name, bytes: 100 * MIB, bytesInAll: 100 * MIB });
      tick(1_000);
    }
    line.read({ name: "user-data", bytes: 20, bytesInAll: 20 });
  });
  expect(said.map((text) => text.replace(/.*\((.*)\)/, "$1"))).toEqual(["disk.img", "", "setup.iso", ""]);
});
