/** A job that is one command as root of a small BusyBox image: what suites ask of a machine where they need no more of it than a shell. */
import path from "node:path";
import { buildVm, openImage, type VmInput } from "@xenoservers/sdk";

/** The job that runs `script` by sh(1) of the image `box` in `layout`; layers that were unpacked once lie in `folder`. `over`: what differs from a machine without a network. */
export async function boxJob(
  layout: string,
  folder: string,
  script: string,
  over: Partial<VmInput> = {},
): Promise<ReturnType<typeof buildVm>> {
  const image = await openImage(`oci:${layout}:box`, path.join(folder, "cache"));
  const layers = image.layers.map(({ blob, compression }) => ({ digest: blob.digest, compression }));
  return buildVm({
    vm: {
      kind: "oci",
      image: image.digest.slice(7),
      layers,
      args: ["sh", "-c", script],
      env: [],
      workdir: "/",
      user: "root",
      hostname: "",
    },
    ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 192, diskMib: 64, outputMibMax: 4 },
    ...{ network: false, egress: "none", engine: null, fuelMax: 10n ** 15n, mounts: [], blobs: image.layers.map(({ blob }) => blob) },
    ...over,
  });
}
