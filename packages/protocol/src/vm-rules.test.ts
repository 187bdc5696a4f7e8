import { describe, expect, it } from "vitest";
import type { InputTree } from "./channel/channel-messages.ts";
import {
  ENTRIES_MAX,
  filesOnDisk,
  imageSizeProblem,
  KERNEL_HEAD_BYTES,
  kernelProblem,
  kernelSizeProblem,
  layersProblem,
  seedProblem,
  vmInputsProblem,
  vmSpecProblem,
} from "./vm-rules.ts";
import type { VmSpec } from "./vm-spec.ts";

const NONE = "0".repeat(64);
const OCI: VmSpec["vm"] = {
  ...{
    kind: "oci",
    image: NONE,
    layers: [{ digest: NONE, compression: "none" }],
    args: ["true"],
    env: [],
    workdir: "",
    user: "",
    hostname: "",
  },
};
const spec = (over: Partial<VmSpec> = {}): VmSpec => ({
  ...{
    vm: OCI,
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
  ...{ egress: "none", inputs: NONE, engine: null, fuelMax: "1", seed: NONE, clockBaseMs: 0, ...over },
});
const kernel: VmSpec["vm"] = { kind: "kernel", kernel: NONE, initrd: null, append: "" };
const disk: VmSpec["vm"] = { kind: "disk", image: null, iso: null, seed: [] };
const out = { path: "/out", writable: true, keep: true };
const problemOf = (entries: InputTree["entries"], mounts: InputTree["mounts"] = [{ ...out, path: "/in" }], diskMib = 64): string | null =>
  vmInputsProblem({ vm: OCI, diskMib }, { entries, mounts });
const file = (path: string, size = 1, digest = NONE) => ({ path, kind: "file" as const, digest, size });

describe("a machine", () => {
  it("that servers run is one", () => {
    expect(vmSpecProblem(spec())).toBeNull();
    expect(vmSpecProblem(spec({ vm: kernel, engine: "q", clockBaseMs: 253_402_300_799_999 }))).toBeNull();
    expect(vmSpecProblem(spec({ vm: disk, screen: true }))).toBeNull();
    expect(vmSpecProblem(spec({ vm: kernel, machine: "microvm", diskMib: 0, memoryMib: 32 }))).toBeNull();
    expect(
      vmSpecProblem(spec({ vm: disk, machine: "q35", firmware: "uefi", devices: "emulated", tpm: true, memoryMib: 2_048 })),
    ).toBeNull();
    expect(
      vmSpecProblem(spec({ vm: { ...OCI, layers: Array.from({ length: 127 }, () => ({ digest: NONE, compression: "gzip" as const })) } })),
    ).toBeNull();
  });

  it.each([
    [{ machine: "microvm" as const }, "--machine pc or q35"],
    [{ vm: kernel, machine: "microvm" as const, firmware: "uefi" as const }, "--uefi"],
    [{ vm: kernel, machine: "microvm" as const, tpm: true }, "--tpm"],
    [{ vm: kernel, machine: "microvm" as const, devices: "emulated" as const }, "virtio devices only"],
    [{ vm: kernel, machine: "microvm" as const, screen: true as const }, "no graphics card"],
    [{ screen: true as const }, "--vm, --iso and --kernel"],
    [{ vm: kernel, engine: "q", screen: true as const }, "deterministic machine has no screen"],
    [{ vm: disk, firmware: "uefi" as const, memoryMib: 64 }, "--mem"],
    [{ vm: kernel, engine: "q", clockBaseMs: 253_402_300_800_000 }, "before the year 10000, not +010000-01-01T"],
    [{ vm: kernel, engine: "q", clockBaseMs: Number.MAX_SAFE_INTEGER }, "before the year 10000, not 9007199254740991 ms"],
    [{ vm: disk, egress: "public" as const }, "--network"],
    [{ devices: "emulated" as const }, "virtio"],
    [{ diskMib: 8 }, "--disk"],
    [{ memoryMib: 64 }, "--mem"],
    [{ vm: { ...OCI, layers: Array.from({ length: 200 }, () => ({ digest: NONE, compression: "none" as const })) } }, "200 layers"],
    [{ vm: { ...OCI, args: ["x".repeat(131_072)] } }, "--in"],
    [{ vm: { ...OCI, env: Array.from({ length: 1_000 }, (_, i) => `A${i}=${"é".repeat(1_100)}`) } }, "--in"],
    [
      {
        vm: {
          ...disk,
          seed: [
            { name: "user-data" as const, digest: NONE },
            { name: "user-data" as const, digest: NONE },
          ],
        },
      },
      "the same file twice",
    ],
  ])("that none runs is refused in words that name what to change: %j", (over, words) => {
    expect(vmSpecProblem(spec(over))).toContain(words);
  });

  it("has room for an image, a kernel and a seed, or says how much is needed", () => {
    expect(imageSizeProblem(64 * 1_048_576, 64)).toBeNull();
    expect(imageSizeProblem(64 * 1_048_576 + 1, 64)).toBe(
      "the image unpacks to 65 MiB, more than the disk of 64 MiB: order --disk 65M or more",
    );
    expect(layersProblem(128)).toBeNull();
    expect(layersProblem(129)).toContain("129 layers");
    expect(kernelSizeProblem(10_000_000, 100_000_000, 128)).toBeNull();
    expect(kernelSizeProblem(10_000_000, 200_000_000, 128)).toContain("201 MiB");
    expect(seedProblem(1_000)).toBeNull();
    expect(seedProblem(9_000_000)).toContain("cloud-init");
  });

  it("knows a kernel by its first bytes: Linux, ELF and multiboot, each where its header may lie, and nothing else", () => {
    const head = (at: number, ...bytes: number[]) => Uint8Array.from({ length: KERNEL_HEAD_BYTES }, (_, i) => bytes[i - at] ?? 0);
    const [hdrs, elf, multiboot] = [Buffer.from("HdrS"), Buffer.from("\x7fELF"), Buffer.from("02b0ad1b", "hex")];
    for (const kernel of [head(0x202, ...hdrs), head(0, ...elf), head(0, ...multiboot), head(8_188, ...multiboot)])
      expect(kernelProblem(kernel)).toBeNull();
    const none = [new Uint8Array(), Buffer.from("this is no kernel\n".repeat(500)), head(0x200, ...hdrs), head(4, ...elf)];
    for (const other of [...none, head(6, ...multiboot), hdrs]) expect(kernelProblem(other)).toContain("neither a Linux bzImage");
  });

  it("holds as many files as the file system of its disk", () => {
    expect([16, 64, 512, 2_048, 65_536].map(filesOnDisk)).toEqual([4_096, 16_384, 131_072, 131_072, 4_194_304]);
  });
});

describe("inputs", () => {
  it("that fit are taken", () => {
    expect(problemOf([{ path: "in/d", kind: "directory" }, file("in/d/f"), { path: "in/l", kind: "link", target: "d/f" }])).toBeNull();
    expect(problemOf([file("in/a"), file("in/b")])).toBeNull();
    expect(problemOf([file("in/deep/not/listed")])).toBeNull();
    expect(
      problemOf(
        [file("a/b/f")],
        [
          { ...out, path: "/a/b" },
          { ...out, path: "/a" },
        ],
      ),
    ).toBeNull();
    expect(vmInputsProblem({ vm: kernel, diskMib: 0 }, { entries: [], mounts: [] })).toBeNull();
  });

  it.each<[InputTree["entries"], string]>([
    [[file("in/a"), file("in/a", 2, "1".repeat(64))], "comes twice"],
    [[file("in/a"), file("in/a/b")], "lies inside in/a, which is no folder"],
    [[{ path: "in/l", kind: "link", target: "/etc" }, file("in/l/b")], "lies inside in/l"],
    [[file("elsewhere/a")], "in no folder that is mounted"],
    [[file("in")], "is an input that is no folder"],
    [[file(`in/${"n".repeat(256)}`)], "more than 255 bytes"],
    [[file(`in/${"é".repeat(128)}`)], "more than 255 bytes"],
    [[file(`in/${"d/".repeat(2_040)}f`)], "deeper than a path"],
    [[file("in/\ud800")], "is no text"],
    [[{ path: "in/l", kind: "link", target: "x\0y" }], "can be no path"],
    [[{ path: "in/l", kind: "link", target: "é".repeat(2_050) }], "can be no path"],
    [[file("in/a", 1), file("in/b", 2)], "another size"],
    [[file("in/a", 70 * 1_048_576)], "the inputs take 70 MiB, more than a disk of 64 MiB has room for: order more with --disk"],
    [Array.from({ length: 16_500 }, (_, i) => file(`in/${i}`, 0)), "more than a disk of 64 MiB has room for"],
    [Array.from({ length: ENTRIES_MAX + 1 }, (_, i) => file(`in/${i}`, 0)), "bring them as an archive"],
    [Array.from({ length: 9_000 }, (_, i) => file(`in/${`${"n".repeat(250)}/`.repeat(6)}${i}`, 0)), "bring them as an archive"],
  ])("that cannot be are refused in words (%#)", (entries, words) => {
    expect(problemOf(entries)).toContain(words);
  });

  it("are mounted nowhere twice, nor over the guest's own", () => {
    expect(problemOf([], [out, out])).toBe("/out is mounted twice");
    expect(problemOf([], [{ ...out, path: "/proc/1" }])).toContain("/proc is the guest's own");
    expect(problemOf([], [{ ...out, path: "/dev" }])).toContain("/dev is the guest's own");
    expect(problemOf([], [{ ...out, path: "/devices" }])).toBeNull();
    expect(problemOf([], [{ ...out, path: `/${"é".repeat(200)}` }])).toContain("more than 255 bytes");
    expect(vmInputsProblem({ vm: disk, diskMib: 64 }, { entries: [], mounts: [out] })).toContain("only OCI images take inputs");
  });
});
