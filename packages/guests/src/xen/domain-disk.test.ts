/** What dom0's kernel is told of a domain's disks. That it opens them then is played on a real Xen (test/xen). */
import { expect, it } from "vitest";
import { deviceNodes } from "./domain-disk.ts";

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
