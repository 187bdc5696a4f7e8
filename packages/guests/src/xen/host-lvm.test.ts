/** What of a host's LVM filters keeps customers' disks out. */
import { describe, expect, it } from "vitest";
import { lvmAccepts } from "./host-lvm.ts";

const config = (line: string): string => `devices {\n\tdir="/dev"\n\t${line}\n\tscan_lvs=0\n}\n`;
const LOOP = "/dev/loop7";

describe("a host's LVM", () => {
  it.each<[boolean, string, string]>([
    [true, "", LOOP],
    [true, 'global_filter=["a|.*|"]', LOOP],
    [false, 'global_filter=["r|^/dev/loop|","r|^/dev/mapper/xeno-|"]', LOOP],
    [false, 'global_filter=["r|^/dev/loop|","r|^/dev/mapper/xeno-|"]', "/dev/mapper/xeno-0123"],
    [true, 'global_filter=["r|^/dev/loop|"]', "/dev/mapper/xeno-0123"],
    [true, 'global_filter=["a|loop|","r|.*|"]', LOOP],
    [false, 'global_filter=["a|^/dev/sd|","r|.*|"]', LOOP],
    [false, 'global_filter="r/.*/"', LOOP],
    [false, String.raw`global_filter=["r|^\\/dev\\/loop[0-9]+$|"]`, LOOP],
    [true, 'global_filter=["r|(|","a|.*|"]', LOOP],
    [false, "use_devicesfile=1", LOOP],
    [true, "use_devicesfile=0", LOOP],
    [true, 'filter=["r|.*|"]', LOOP],
  ])("takes up a disk (%s) where it is told %s", (accepts, line, name) => {
    expect(lvmAccepts(config(line), name, true)).toBe(accepts);
  });

  it("goes by its filters where there is no file of devices", () => {
    expect(lvmAccepts(config("use_devicesfile=1"), LOOP, false)).toBe(true);
    expect(lvmAccepts(config('use_devicesfile=1\n\tglobal_filter=["r|.*|"]'), LOOP, false)).toBe(false);
  });
});
