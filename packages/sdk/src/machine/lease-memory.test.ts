import { expect, it } from "vitest";
import type { VmBoot } from "@xenoservers/protocol";
import { leaseMemoryMib } from "./lease-memory.ts";

const DIGEST = "11".repeat(32);
const KERNEL: VmBoot = { kind: "kernel", kernel: DIGEST, initrd: null, append: "" };
const DISK: VmBoot = { kind: "disk", image: { digest: DIGEST, format: "raw", url: null }, iso: null, seed: [] };
const machine = { vcpu: 2, memoryMib: 256 };

it.each([
  ["what libxl keeps of it", KERNEL, false, 256 + 12],
  ["what QEMU may take where its disk has nothing that GRUB boots", DISK, false, 256 + 12 + 40],
  ["what QEMU takes for its screen", KERNEL, true, 256 + 12 + 40 + 64],
])("of a domain has beside its own %s", (_, vm, hasScreen, mib) => {
  const screen = hasScreen ? { screen: true as const } : {};
  expect(leaseMemoryMib({ ...machine, vm, ...screen }, { driver: "xen", accel: "any" })).toBe(mib);
});

it.each([
  ["kvm", 64],
  ["any", 192],
] as const)("of QEMU's machine has beside its own what QEMU takes (%s)", (accel, mib) => {
  expect(leaseMemoryMib({ ...machine, vm: KERNEL }, { driver: "qemu", accel })).toBe(256 + mib);
  expect(leaseMemoryMib({ ...machine, vm: KERNEL, screen: true }, { driver: "qemu", accel })).toBe(256 + mib + 64);
});
