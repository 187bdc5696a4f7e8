import { describe, expect, it } from "vitest";
import { checkConditions, formatCondition, impliedResources, meets, parseConditions, parseMib, type Subject } from "./condition.ts";

const subject: Subject = {
  ...{
    vcpu: 4,
    memoryMib: 8192,
    diskMib: 10_000,
    priceNanosPerHour: 36_000_000n,
    cpuScore: 100,
    vmScore: 90,
    accel: "kvm",
    limits: "cgroup2",
    fetches: false,
    holds: ["seccomp", "cgroup-memory"],
  },
  ...{ driver: ["wasm", "qemu"], assurance: ["isolated"], sandbox: "strong", owner: "p_owner", server: "s_1", labels: { region: "eu" } },
};
const met = (text: string): boolean => {
  const parsed = parseConditions(text);
  expect(parsed.ok, text).toBe(true);
  return parsed.ok && parsed.conditions.every((condition) => meets(subject, condition));
};

describe("conditions", () => {
  it("refuse unknown keys and say which are known", () => {
    const parsed = parseConditions("cpus>=2");
    expect(parsed).toMatchObject({ ok: false, code: "bad_condition", condition: "cpus>=2" });
    expect(!parsed.ok && parsed.why).toContain("cpu");
  });

  it.each([
    ["cpu>=x"],
    ["region>eu"],
    ["price<cheap"],
    ["mem"],
    ["constructor=1"],
    ["label.__proto__=1"],
    ["holds=secomp"],
    ["holds>seccomp"],
  ])("refuse %s", (text) => {
    expect(parseConditions(text).ok).toBe(false);
  });

  it("read sizes and imply resources", () => {
    const parsed = parseConditions("cpu>=2 mem>=4G,region=eu price<0.05");
    expect(parsed.ok && impliedResources(parsed.conditions, { vcpu: 1, memoryMib: 512, diskMib: 1024 })).toEqual({
      vcpu: 2,
      memoryMib: 4096,
      diskMib: 1024,
    });
    expect(parsed.ok && checkConditions(parsed.conditions)).toBeNull();
    expect([parseMib("1.5G"), parseMib("512"), parseMib("1T"), parseMib("x")]).toEqual([1536, 512, 1_048_576, null]);
  });

  it.each([
    ["cpu>=4 mem<=8G disk!=1G", true],
    ["cpu>4", false],
    ["price<0.05", true],
    ["price<0.036", false],
    ["driver=qemu accel=kvm", true],
    ["driver!=qemu", false],
    ["region=eu", true],
    ["region=us", false],
    ["region!=us", true],
    ["label.rack=1", false],
    ["owner=p_owner server!=s_2", true],
    ["holds=seccomp holds=cgroup-memory", true],
    ["holds=own-user", false],
  ])("mean one thing: %s is %s", (text, expected) => {
    expect(met(text)).toBe(expected);
  });

  it("with a key that is not known are never met", () => {
    expect(meets(subject, { key: "nonsense", op: "=", value: "1" })).toBe(false);
    expect(formatCondition({ key: "cpu", op: ">=", value: "2" })).toBe("cpu>=2");
  });
});
