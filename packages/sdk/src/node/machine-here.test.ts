/** What a machine is made of on a machine with Node: files by their names, and bytes in their place. */
import { openAsBlob } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { RunInput } from "../facade/run-input.ts";
import { plainCheck } from "../module-check.ts";
import type { BuiltVm } from "../vm.ts";
import { hereWith } from "./here.ts";

let folder: string;
const at = (name: string): string => path.join(folder, name);
const kernel = Buffer.alloc(64 * 1024);
kernel.write("HdrS", 0x202);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-machine-here-"));
  await writeFile(at("kernel"), kernel);
  await writeFile(at("initrd"), "a RAM disk");
  await writeFile(at("disk"), Buffer.alloc(1024 * 1024));
  await writeFile(at("key.pub"), "ssh-ed25519 AAAA");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const plan = (input: RunInput) => hereWith(plainCheck).plan(input);

it("is the same by a file's name, its bytes, a Blob of it and a stream", async () => {
  const specOf = async (input: RunInput) => {
    const { wanted, build } = await plan({ mem: "192M", ...input });
    const { spec, sizes } = build({ engine: "e", vmEngine: "v" }) as BuiltVm;
    return { wanted, vm: spec.vm, sizes };
  };
  const named = await specOf({ kernel: at("kernel"), initrd: at("initrd") });
  expect(named.sizes.map(({ size }) => size)).toEqual([kernel.length, 10]);
  expect(await specOf({ kernel, initrd: new TextEncoder().encode("a RAM disk") })).toEqual(named);
  expect(await specOf({ kernel: await openAsBlob(at("kernel")), initrd: new Blob(["a RAM disk"]).stream() })).toEqual(named);
  const disk = await specOf({ vm: at("disk"), format: "raw" });
  expect(await specOf({ vm: await openAsBlob(at("disk")), format: "raw" })).toEqual(disk);
});

it.each<[() => RunInput, RegExp]>([
  [() => ({ kernel: at("none") }), /^kernel: there is no file .*none/],
  [() => ({ kernel: folder }), /^kernel: .* is no file/],
  [() => ({ kernel: at("kernel"), initrd: at("none") }), /^initrd: there is no file/],
  [() => ({ vm: at("none") }), /^vm: there is no file/],
  [() => ({ iso: folder }), /^iso: .* is no file/],
  [() => ({ vm: at("disk"), format: "raw", sshKey: at("none") }), /^sshKey: there is no file/],
  [
    () => ({ vm: at("disk"), format: "raw", userData: new Blob([Buffer.alloc(32 * 1024 * 1024)]) }),
    /the files for cloud-init take more than/,
  ],
  [() => ({ image: new Blob(["no archive"]) }), /is no archive of an OCI image/],
  [() => ({ image: "NOT an image" }), /is neither a \.wasm module/],
  [() => ({ kernel: {} as Blob }), /^kernel is a file's name, bytes, a Blob or a stream/],
])("is refused in words, before anything is read whole: %#", async (input, says) => {
  await expect(plan(input())).rejects.toMatchObject({ code: "bad_input", message: expect.stringMatching(says) });
});
