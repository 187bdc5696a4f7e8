/** What dom0's kernel is told of a domain's disks. That it opens them then is played on a real Xen (test/xen). */
import { expect, it } from "vitest";
import { deviceNodes, sweepDevices } from "./domain-disk.ts";

it("is told of each disk by the number of its place, which are of another kind from the seventeenth on", () => {
  const devices = Array.from({ length: 17 }, (_, n) => ({
    device: `/dev/loop${n + 250}`,
    numbers: `7:${(n + 250).toString(16)}`,
    isWritable: false,
  }));
  const nodes = deviceNodes(5, devices);
  expect(nodes).toHaveLength(3 * 17);
  const of = (number: number): string => `/local/domain/0/backend/vbd/5/${number}`;
  expect(nodes.slice(0, 3)).toEqual([
    [`${of(51_712)}/physical-device-path`, "/dev/loop250"],
    [`${of(51_712)}/physical-device`, "7:fa"],
    [`${of(51_712)}/hotplug-status`, "connected"],
  ]);
  expect(nodes.at(-2)).toEqual([`${of(268_439_552)}/physical-device`, "7:10a"]);
});

it.each([
  ["was let go of by the kernel meanwhile, and is nobody's now", []],
  ["is another file's by then", [["/dev/loop3", "/home/owner/disk.img"]]],
] as const)("is let go of where an earlier daemon left it, and does not keep the next from starting where it %s", async (_how, after) => {
  const asked: string[] = [];
  const listed = (all: readonly (readonly [string, string])[]): string =>
    all.length === 0 ? "" : JSON.stringify({ loopdevices: all.map(([name, file]) => ({ name, "back-file": file })) });
  let now: readonly (readonly [string, string])[] = [
    ["/dev/loop3", "/srv/domains/xeno-1/disk.raw (deleted)"],
    ["/dev/loop4", "/srv/domains-of-others/disk.raw"],
  ];
  await sweepDevices("/srv/domains", async (...words) => {
    asked.push(words.join(" "));
    if (words[0] === "--list") return listed(now);
    now = after;
    throw new Error("losetup: /dev/loop3: detach failed: No such device or address");
  });
  expect(asked.filter((each) => each.startsWith("--detach"))).toEqual(["--detach /dev/loop3"]);
});

it("that stays is said", async () => {
  const all = JSON.stringify({ loopdevices: [{ name: "/dev/loop3", "back-file": "/srv/domains/xeno-1/disk.raw" }] });
  const sweep = sweepDevices("/srv/domains", async (...words) => {
    if (words[0] === "--list") return all;
    throw new Error("losetup: cannot find an unused loop device: Permission denied");
  });
  await expect(sweep).rejects.toThrow("Permission denied");
});
