import { expect, it } from "vitest";
import { bytesBlob } from "./blob.ts";
import { VmProblem, assembleVm, buildVm, type VmInput } from "./vm.ts";

const layer = bytesBlob(Buffer.from("a layer"));
const machine = (over: Partial<VmInput> = {}): VmInput => ({
  vm: {
    ...{ kind: "oci", image: "0".repeat(64), layers: [{ digest: layer.digest, compression: "none" }], args: ["true"], env: [] },
    ...{ workdir: "", user: "", hostname: "" },
  },
  ...{
    machine: "pc",
    firmware: "bios",
    devices: "virtio",
    tpm: false,
    vcpu: 1,
    memoryMib: 192,
    diskMib: 64,
    outputMibMax: 4,
    network: false,
  },
  ...{ egress: "none", engine: null, fuelMax: 1n, mounts: [], blobs: [layer] },
  ...over,
});

it("builds what servers run, and is the same as what was only put together", () => {
  const fixed = { seed: new Uint8Array(32), clockBaseMs: 1 };
  expect(buildVm(machine(fixed)).jobHash).toBe(assembleVm(machine(fixed)).jobHash);
});

it.each<[Partial<VmInput>, string]>([
  [{ memoryMib: 64 }, "--mem"],
  [{ diskMib: 1 }, "--disk"],
  [{ vcpu: 0 }, "vcpu"],
  [
    {
      mounts: [
        {
          mount: { path: "/in", writable: false, keep: false },
          entries: [{ path: "big", kind: "file", blob: { ...layer, size: 2 ** 30 } }],
        },
      ],
    },
    "1024 MiB",
  ],
  [{ mounts: [{ mount: { path: "/a/../b", writable: false, keep: false }, entries: [] }] }, "mounts.0.path"],
  [
    { mounts: [{ mount: { path: "/x", writable: false, keep: false }, entries: [{ path: "l", kind: "link", target: "" }] }] },
    "entries.0.target",
  ],
])("refuses what no server can read or run, before anything is ordered (%#)", (over, words) => {
  expect(() => buildVm(machine(over))).toThrow(VmProblem);
  expect(() => buildVm(machine(over))).toThrow(words);
});
