/** Whether user ids are free for device models, by what the machine's files say. */
import { expect, it } from "vitest";
import { emulationMissing, rangeProblem } from "./emulation-host.ts";

const line = (name: string, id: number): string => `${name}:x:${id}:${id}::/:/usr/sbin/nologin`;
const BASE = line("xen-qemuuser-range-base", 200_000);
const users = (...lines: string[]): string => [line("root", 0), line("olga", 1_000), ...lines, ""].join("\n");

it("takes a range that nobody else has", () => {
  expect(rangeProblem(users(BASE), "olga:100000:65536\n")).toBeNull();
  expect(rangeProblem(users(BASE, line("next", 232_752), line("before", 199_999)), "")).toBeNull();
});

it.each<[string, string, string]>([
  ["the user xen-qemuuser-range-base, whose id begins a range for device models (useradd", users(), ""],
  ["an id that is not root's", users(line("xen-qemuuser-range-base", 0)), ""],
  ["user ids 200000 to 232751 for device models alone, and web has 232751", users(BASE, line("web", 232_751)), ""],
  ["and web has 200000", users(BASE, line("web", 200_000)), ""],
  ["and olga may take 165536 and on (/etc/subuid)", users(BASE), "root:100000:65536\nolga:165536:65536\n"],
])("says in words what to do: %s", (words, all, subordinate) => {
  expect(rangeProblem(all, subordinate)).toContain(words);
});

it("says all that a host lacks", async () => {
  const missing = await emulationMissing({ abilities: ["pv"] });
  expect(missing).toContain("hvm (xl info, virt_caps)");
});
