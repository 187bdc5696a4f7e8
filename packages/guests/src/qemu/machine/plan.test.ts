/** What QEMU is told of a machine's processor. */
import type { VmSpec } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { planVm, type Accel } from "./plan.ts";

const spec: VmSpec = {
  ...({ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 192, diskMib: 0 } as const),
  ...({ outputMibMax: 4, network: false, egress: "none", engine: null, fuelMax: "1000", seed: "0".repeat(64) } as const),
  vm: { kind: "kernel", kernel: "0".repeat(64), initrd: null, append: "" },
} as unknown as VmSpec;

const processorOf = (accel: Accel): string | undefined => {
  const common = { diskIopsMax: 1_000, diskBytesPerSecondMax: 1_000_000, restore: null, sharedMemory: null, deterministic: false };
  const args = planVm({ spec, accel, files: { kernel: "/img/kernel" }, ...common });
  return args[args.indexOf("-cpu") + 1];
};

it("an emulated processor does not say that string moves are fast: they are ten times slower there than what is done instead", () => {
  expect(processorOf("tcg")?.split(",")).toEqual(expect.arrayContaining(["-erms", "-fsrm"]));
  expect(processorOf("kvm")).toBe("host");
});
