import { expect, it } from "vitest";
import { Reading, progressText } from "./reading.ts";

const MIB = 1024 * 1024;

it("is shown so often, with its rate once that says something, for each file from its beginning", () => {
  const reading = new Reading();
  const at = (name: string, mib: number, ms: number) => reading.told({ name, bytes: mib * MIB, bytesInAll: 900 * MIB }, ms);
  const shown = [at("a", 1, 10), at("a", 2, 20), at("a", 101, 1_010), at("b", 1, 1_020), at("b", 201, 3_020)];
  expect(shown.map((each) => each && each.bytesPerSecond)).toEqual([null, null, 100 * MIB, null, 100 * MIB]);
  expect(shown.map((each) => each && each.name)).toEqual(["a", null, "a", "b", "b"]);
  // what is packed as a whole is read once more, unpacked, under the same name
  expect(at("b", 1, 3_030)).toMatchObject({ bytes: MIB, bytesPerSecond: null });
});

it("is put in words", () => {
  const read = { name: "disk\n.img", bytes: 512 * MIB, bytesInAll: 3 * 1024 * MIB, bytesPerSecond: 128 * MIB };
  expect(progressText(read)).toBe("Reading disk\\n.img: 512.0 MiB of 3.0 GiB, 128.0 MiB a second, 20.0 s left");
  expect(progressText({ ...read, bytesInAll: null })).toBe("Reading disk\\n.img: 512.0 MiB, 128.0 MiB a second");
  // a log that is written to while it comes
  expect(progressText({ ...read, bytesInAll: 500 * MIB })).toBe("Reading disk\\n.img: 512.0 MiB, 128.0 MiB a second");
  expect(progressText({ ...read, bytesPerSecond: null })).toBe("Reading disk\\n.img: 512.0 MiB of 3.0 GiB");
});
