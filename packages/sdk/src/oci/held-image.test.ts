/** Images in archives that a program holds: the same as by their files, and refused where they are. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { headerOf, summed, type Part } from "@xenoservers/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AbortedError } from "../errors.ts";
import { openGiven, type ReadProgress } from "../given-bytes.ts";
import { heldImage } from "./held-image.ts";
import { openImage } from "./image.ts";
import { OciError } from "./source.ts";

const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const END = Buffer.alloc(1024);
const fileOf = (name: string, bytes: string | Uint8Array): Part => headerOf(name, "0", Buffer.byteLength(bytes), Buffer.from(bytes));
/** GNU's way of a name that is longer than a header's field. */
const longFileOf = (name: string, bytes: Uint8Array): Buffer =>
  Buffer.concat([headerOf("@", "L", name.length + 1, Buffer.from(`${name}\0`)), fileOf("cut", bytes)]);
function linkOf(name: string, target: string): Part {
  const header = Buffer.from(headerOf(name, "2", 0));
  header.write(target, 157, "latin1");
  return summed(header);
}
const layer = Buffer.concat([fileOf("etc/greeting", "hello\n"), headerOf("bin/sh", "2", 0), END]);
const second = Buffer.concat([fileOf("data", "x".repeat(5_000)), END]);

const hashed = (hash: string, bytes: Uint8Array): string => `${hash}:${createHash(hash).update(bytes).digest("hex")}`;

interface Over {
  /** What the configuration states of each layer. */
  diffs?: string[];
  packed?: (bytes: Buffer) => Buffer;
  /** By which the manifest names its layers. */
  by?: string;
  /** By which it names its configuration, and the index names it. */
  above?: string;
}

const by512 = [hashed("sha512", layer), hashed("sha512", second)];

const configOf = (diffs: string[]): Buffer =>
  Buffer.from(
    JSON.stringify({
      ...{
        architecture: "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: diffs.map((each) => (each.includes(":") ? each : `sha256:${each}`)) },
      },
      config: {
        Entrypoint: ["/bin/sh"],
        Cmd: ["-c", "true"],
        Env: ["A=b"],
        WorkingDir: "/srv",
        Volumes: { "data/../v/": {} },
        User: "web",
      },
    }),
  );

/** As `docker save` wrote it before version 25, with a layer that is a link to another's file. */
function dockerSave({ diffs = [sha(layer), sha(second)], packed = (bytes) => bytes }: Over = {}): Buffer {
  const config = configOf(diffs);
  const manifest = [{ Config: `${sha(config)}.json`, RepoTags: ["box:latest"], Layers: ["a/layer.tar", "b/layer.tar"] }];
  return Buffer.concat([
    fileOf(`${sha(config)}.json`, config),
    fileOf("a/layer.tar", packed(layer)),
    fileOf("c/layer.tar", packed(second)),
    linkOf("b/layer.tar", "../c/layer.tar"),
    fileOf("manifest.json", JSON.stringify(manifest)),
    END,
  ]);
}

/** As `podman save --format oci-archive` does. */
function ociArchive({ diffs = [sha(layer), sha(second)], packed = gzipSync, by = "sha256", above = "sha256" }: Over = {}): Buffer {
  const config = configOf(diffs);
  const layers = [packed(layer), packed(second)];
  const described = layers.map((bytes) => ({
    ...{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: hashed(by, bytes), size: bytes.length },
  }));
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: hashed(above, config), size: config.length },
      layers: described,
    }),
  );
  const index = {
    manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest: hashed(above, manifest), size: manifest.length }],
  };
  const blob = (hash: string) => (bytes: Buffer) => longFileOf(`blobs/${hashed(hash, bytes).replace(":", "/")}`, bytes);
  const blobs = [...layers.map(blob(by)), ...[config, manifest].map(blob(above))];
  return Buffer.concat([
    ...blobs,
    fileOf("oci-layout", '{"imageLayoutVersion":"1.0.0"}'),
    fileOf("index.json", JSON.stringify(index)),
    END,
  ]);
}

function severalImages(): Buffer {
  const config = configOf([sha(layer)]);
  const of = (tag: string) => ({ Config: "config.json", RepoTags: [`box:${tag}`], Layers: ["layer.tar"] });
  return Buffer.concat([
    fileOf("config.json", config),
    fileOf("layer.tar", layer),
    fileOf("manifest.json", JSON.stringify([of("1"), of("2")])),
    END,
  ]);
}

const held = async (bytes: Uint8Array) => heldImage(await openGiven(new File([bytes as Uint8Array<ArrayBuffer>], "box.tar"), "--image"));

describe("an image in an archive that is held", () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-held-"))));
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each([
    ["docker save", dockerSave()],
    ["docker save, of packed layers", dockerSave({ packed: gzipSync })],
    ["docker save, packed as a whole", gzipSync(dockerSave())],
    ["an OCI archive", ociArchive()],
    ["an OCI archive of plain layers", ociArchive({ packed: (bytes) => bytes })],
    [
      "an OCI archive of layers in several members",
      ociArchive({ packed: (bytes) => Buffer.concat([gzipSync(bytes.subarray(0, 512)), gzipSync(bytes.subarray(512))]) }),
    ],
    ["an OCI archive of layers of zstd", ociArchive({ packed: zstdCompressSync })],
    ["an OCI archive of layers by sha512", ociArchive({ by: "sha512" })],
    ["an OCI archive, all by sha512", ociArchive({ by: "sha512", above: "sha512", diffs: by512 })],
    ["an OCI archive of plain layers by sha512", ociArchive({ by: "sha512", packed: (bytes) => bytes })],
    ["an OCI archive that states sha384 and sha512", ociArchive({ diffs: [hashed("sha384", layer), hashed("sha512", second)] })],
    ["docker save, of packed layers that are stated by sha512", dockerSave({ diffs: by512, packed: gzipSync })],
    ["docker save, of layers that are stated by sha512", dockerSave({ diffs: by512 })],
  ])("of %s is what it is by its file, and every byte of it", async (what, bytes) => {
    const file = path.join(folder, `${sha(bytes)}.tar`);
    await writeFile(file, bytes);
    const [here, there] = [await held(bytes), await openImage(`archive:${file}`, path.join(folder, "cache"))];
    const plain = ({ layers, unpackedBytes: _, name: __, ...image }: Awaited<ReturnType<typeof heldImage>>) => ({
      ...image,
      layers: layers.map(({ blob, compression }) => ({ digest: blob.digest, size: blob.size, compression })),
    });
    expect(plain(here)).toEqual(plain(there as never));
    expect(here.volumes).toEqual(["/v/"]);
    for (const [i, { blob }] of here.layers.entries())
      expect(Buffer.compare(await blob.read(0, blob.size), await there.layers[i]!.blob.read(0, blob.size))).toBe(0);
    const unpacked = await here.unpackedBytes();
    if (unpacked !== null || !/members|zstd/.test(what)) expect(unpacked).toBe(layer.length + second.length);
  });

  const changed = (bytes: Buffer, from: string, to: string): Buffer => {
    const at = bytes.indexOf(from);
    expect(at).toBeGreaterThan(0);
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(to), bytes.subarray(at + to.length)]);
  };
  it.each([
    ["no archive", Buffer.from("a disk image, perhaps"), /is no archive of an OCI image/],
    ["nothing", Buffer.alloc(0), /is no OCI image layout/],
    ["an archive of something else", Buffer.concat([fileOf("a", "b"), END]), /is no OCI image layout/],
    ["packed with zip", Buffer.from("PK\x03\x04 and more"), /packed with something that is not unpacked here/],
    ["packed, and cut off", gzipSync(dockerSave()).subarray(0, 300), /does not unpack here: it is damaged|is no archive/],
    ["a layer that is another", changed(dockerSave(), "hello\n", "HELLO\n"), /does not have the digest that its configuration states/],
    [
      "a layer that is another, by its manifest",
      changed(ociArchive({ packed: (b) => b }), "hello\n", "HELLO\n"),
      /the digest that its manifest states/,
    ],
    [
      "a layer that is another, by its manifest's sha512",
      changed(ociArchive({ by: "sha512", packed: (b) => b }), "hello\n", "HELLO\n"),
      /the digest that its manifest states/,
    ],
    ["a layer that unpacks to something else, by sha512", ociArchive({ diffs: [by512[0]!, by512[0]!] }), /unpacks to other bytes/],
    ["a configuration that is another, by sha512", changed(ociArchive({ above: "sha512" }), "/bin/sh", "/bin/no"), /another digest/],
    [
      "a layout whose list is an image's manifest (distgo 942)",
      Buffer.concat([fileOf("index.json", '{"schemaVersion":2,"config":{"digest":"sha256:0","size":2},"layers":[]}'), END]),
      /its index\.json is an image's manifest, not a list of images/,
    ],
    ["a part by another hash", ociArchive({ by: "sha384" }), /only digests of sha256 and sha512 are known here/],
    ["a layer that is stated by what is no digest", ociArchive({ diffs: [sha(layer), "md5:abc"] }), /unpacks to other bytes/],
    ["a layer that unpacks to something else", ociArchive({ diffs: [sha(layer), sha(layer)] }), /unpacks to other bytes/],
    ["too few layers", dockerSave({ diffs: [sha(layer)] }), /lists 2 layers, and its configuration states 1/],
    [
      "a manifest and no blobs",
      Buffer.concat([fileOf("manifest.json", '{"schemaVersion":2}'), END]),
      /no archive that docker, podman or skopeo/,
    ],
    ["several images", severalImages(), /box\.tar holds 2 images: save the one that is meant by itself; it holds box:1, box:2/],
    ["an archive that is cut off", dockerSave().subarray(0, 2_000), /is no archive of an OCI image \(it is cut off\)/],
    ["a long name that is cut off", Buffer.from(headerOf("@", "L", 2_000, "abc")), /is no archive/],
  ] as const)("that is %s is refused in words", async (_, bytes, says) => {
    const asked = held(bytes);
    await expect(asked).rejects.toBeInstanceOf(OciError);
    await expect(asked).rejects.toThrow(says);
  });

  it.each([
    ["docker save", dockerSave()],
    ["docker save, of packed layers", dockerSave({ packed: gzipSync })],
    ["an OCI archive", ociArchive()],
  ])("is told of as it is read, and each layer is hashed once, as it is and unpacked: %s", async (_, bytes) => {
    const told: ReadProgress[] = [];
    const image = await heldImage(await openGiven(bytes, "--image"), { reading: { onRead: (each) => void told.push(each) } });
    const layers = image.layers.reduce((sum, { blob }) => sum + blob.size, 0);
    expect(told.at(-1)).toEqual({ name: "image", bytes: layers, bytesInAll: bytes.length });
    expect(told.map((each) => each.bytes)).toEqual(told.map((each) => each.bytes).toSorted((a, b) => a - b));
  });

  it.each([
    ["that lies as it is", dockerSave()],
    ["that is packed as a whole", gzipSync(dockerSave())],
    ["of packed layers", ociArchive()],
  ])("%s is read no further where nobody wants it any more", async (_, bytes) => {
    const off = new AbortController();
    let told = 0;
    const reading = { signal: off.signal, onRead: () => void (told++, off.abort()) };
    await expect(heldImage(await openGiven(bytes, "--image"), { reading })).rejects.toBeInstanceOf(AbortedError);
    expect(told).toBe(1);
  });

  it.each([
    ["docker save", (packed: typeof gzipSync) => dockerSave({ packed })],
    ["an OCI archive", (packed: typeof gzipSync) => ociArchive({ packed })],
  ])("whose layers unpack to more than its disk could need is unpacked no further: %s", async (_, archive) => {
    // zeros behind each layer, which come to a few bytes
    const bomb = archive(((bytes: Buffer) => gzipSync(Buffer.concat([bytes, Buffer.alloc(64 * 1024 * 1024)]))) as typeof gzipSync);
    await expect(heldImage(await openGiven(bomb, "--image"), { layersMax: 1024 * 1024 })).rejects.toThrow(
      "the layers of image unpack to more than 1 MiB: say how large the image's disk may be",
    );
    const small = await openGiven(archive(gzipSync), "--image");
    await expect(heldImage(small, { layersMax: 1024 * 1024 })).resolves.toMatchObject({ entrypoint: ["/bin/sh"] });
  });

  it("that is packed, and unpacks to more than is held, is refused as soon as that much came", async () => {
    const given = await openGiven(gzipSync(Buffer.concat([dockerSave(), Buffer.alloc(16 * 1024 * 1024)]), { level: 0 }), "--image");
    let read = 0;
    const opened = {
      ...given,
      async read(offset: number, length: number) {
        read = Math.max(read, offset + length);
        return given.read(offset, length);
      },
    };
    const bytesMax = 1024 * 1024;
    await expect(heldImage(opened, { unpackedMax: bytesMax })).rejects.toThrow(
      "image unpacks to more than 1 MiB, which is all that is held here",
    );
    expect(read).toBeLessThan(given.size / 2);
    const small = await openGiven(gzipSync(dockerSave()), "--image");
    await expect(heldImage(small, { unpackedMax: bytesMax })).resolves.toMatchObject({ entrypoint: ["/bin/sh"] });
    // what is not packed is read where it lies, and is of any size
    await expect(heldImage(await openGiven(dockerSave(), "--image"), { unpackedMax: 1 })).resolves.toMatchObject({
      entrypoint: ["/bin/sh"],
    });
  });
});
