import { MACHINE_DRIVERS } from "@xenoservers/market";
import { systemCrypto } from "@xenoservers/protocol/system";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { expect, it } from "vitest";
import { bytesBlob } from "../blob.ts";
import { buildVm } from "../vm.ts";
import { forkOf } from "./fork.ts";

const START = 1_800_000_000_000;
const SNAPSHOT = "5".repeat(64);
const kernel = bytesBlob(Buffer.from("a kernel"));
const held = buildVm({
  vm: { kind: "kernel", kernel: kernel.digest, initrd: null, append: "" },
  ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 192, diskMib: 64, outputMibMax: 4 },
  ...{ network: false, egress: "none", engine: null, fuelMax: 7n, mounts: [], blobs: [kernel] },
});

it.each(MACHINE_DRIVERS)("goes on under the driver of the machine that was kept: %s", (driver) => {
  const market = new PaperMarket(new Random(9), START);
  const { payload } = market.order(market.party("carl"), { driver, fuelMax: "7" });
  const fork = forkOf({ crypto: systemCrypto }, held.spec, SNAPSHOT, payload);
  expect(fork.driver).toBe(driver);
  expect(fork.spec).toMatchObject({ vm: { kind: "snapshot", snapshot: SNAPSHOT }, memoryMib: 192, fuelMax: "7" });
  expect(fork.spec.seed).not.toBe(held.spec.seed);
  expect(fork.message).toMatchObject({ t: "vm", spec: fork.spec, blobs: [] });
});
