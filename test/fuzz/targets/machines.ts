/** Modules, images and settings: what customers bring to be run, and what an owner writes. */
import { mkdirSync, writeFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import wabtInit from "wabt";
import { BadState, prepareModule, readState } from "@xenoservers/engine";
import { diskImageProblem } from "@xenoservers/protocol";
import { TarDamage } from "@xenoservers/protocol/archive";
import { PACKING_BYTES, packingOf } from "@xenoservers/protocol/unpack";
import { IMAGE_HEADER_BYTES, checkDiskImage, isQcow2 } from "../../../packages/protocol/src/disk-image.ts";
import { publicAddresses } from "../../../packages/guests/src/qemu/network/addresses.ts";
import { challengesIn } from "../../../packages/sdk/src/oci/challenge.ts";
import { parseImageConfig } from "../../../packages/sdk/src/oci/image-config.ts";
import { resolveImage } from "../../../packages/sdk/src/oci/image.ts";
import { readManifest } from "../../../packages/sdk/src/oci/manifest.ts";
import { DockerArchive } from "../../../packages/sdk/src/oci/docker-source.ts";
import { heldIn } from "../../../packages/sdk/src/oci/archive-index.ts";
import { openGiven } from "../../../packages/sdk/src/given-bytes.ts";
import { heldImage } from "../../../packages/sdk/src/oci/held-image.ts";
import { openFiles } from "../../../packages/sdk/src/oci/image-files.ts";
import type { lazyBlob } from "../../../packages/sdk/src/oci/layer.ts";
import { parseLayoutIndex } from "../../../packages/sdk/src/oci/layout.ts";
import { fitting } from "../../../packages/sdk/src/oci/named-images.ts";
import { openHere } from "../../../packages/sdk/src/oci/on-this-machine.ts";
import { unpacked } from "../../../packages/sdk/src/oci/packed-answer.ts";
import { Mishap } from "../../../packages/sdk/src/oci/patience.ts";
import { hashOf } from "../../../packages/sdk/src/oci/hash-like.ts";
import { OciError, checkDigest, type Descriptor, type OciSource } from "../../../packages/sdk/src/oci/source.ts";
import { parseServerConfig } from "../../../packages/xenoserver/src/host/config.ts";
import { generateModule } from "../../engine/generate.ts";
import { built, traced } from "../../engine/traced.ts";
import { archives, handleOf } from "../archives.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { bentTar } from "../mutate/tar.ts";
import { isForFiles, playFolder } from "../on-disk.ts";
import { bentLine } from "../mutate/text.ts";
import { bentModule } from "../mutate/wasm.ts";
import { ACCEPTED, REFUSED, byRejecting, byThrowing, bytesOf, demand, textOf, type Target } from "../target.ts";

const MODULES = 12;
const wasm: Target = {
  name: "wasm",
  covers: ["engine/src/rewrite/module.ts#parseModule", "engine/src/run.ts#prepareModule"],
  async corpus() {
    const wabt = await wabtInit();
    const module = wabt.parseWat("empty.wat", `(module (memory (export "memory") 1) (func (export "_start")))`);
    const small = new Uint8Array(module.toBinary({}).buffer);
    module.destroy();
    return [small, ...Array.from({ length: MODULES }, (_, seed) => generateModule(seed + 1, seed % 2 === 0))];
  },
  mutate: bentModule,
  play(input) {
    const prepared = prepareModule(input);
    const traced = prepareModule(input, true);
    demand(prepared.ok || !traced.ok, "a module can be traced that cannot be run");
    if (!prepared.ok) return prepared.message.startsWith("it is not valid") ? "invalid" : REFUSED;
    demand(WebAssembly.validate(Uint8Array.from(prepared.bytes)), "a module is not valid once it was rewritten");
    demand(!traced.ok || WebAssembly.validate(Uint8Array.from(traced.bytes)), "a module is not valid once it was made traceable");
    return ACCEPTED;
  },
};

const STEP = 20_000n;
/** Of generated modules, taken down along the way. */
function manifests(): Uint8Array[] {
  return [1, 2].flatMap((seed) => {
    const build = built(generateModule(seed, true));
    return build
      ? traced(build, STEP)
          .states.slice(0, 4)
          .map(({ state: { manifest } }) => manifest)
      : [];
  });
}

const state: Target = {
  name: "state",
  covers: ["engine/src/machine-state.ts#readState"],
  corpus: async () => manifests(),
  mutate: bentJson,
  play: (input) => byThrowing(() => readState(input, () => new Uint8Array()), BadState),
};

/** Headers as qemu-img writes them (docs/interop/qcow2): version 2 and 3, of a disk of 1 GiB. */
function qcow2(version: number): Uint8Array {
  const header = Buffer.alloc(IMAGE_HEADER_BYTES);
  header.writeUInt32BE(0x514649fb);
  header.writeUInt32BE(version, 4);
  header.writeUInt32BE(16, 20);
  header.writeBigUInt64BE(1n << 30n, 24);
  header.writeUInt32BE(2, 36);
  header.writeBigUInt64BE(0x30000n, 40);
  header.writeBigUInt64BE(0x10000n, 48);
  header.writeUInt32BE(1, 56);
  if (version === 3) header.writeUInt32BE(104, 100);
  return new Uint8Array(header);
}

const IMAGE_BYTES = 0x50000n;
const DISK_MIB = 2_048;
const disk: Target = {
  name: "disk-image",
  covers: ["protocol/src/disk-image.ts#checkDiskImage", "protocol/src/disk-image.ts#isQcow2"],
  corpus: async () => [qcow2(2), qcow2(3), new Uint8Array(IMAGE_HEADER_BYTES)],
  mutate: bentBytes,
  play(input) {
    const formats = ["qcow2", "raw"] as const;
    const checked = formats.map((format) => diskImageProblem(input, IMAGE_BYTES, format, DISK_MIB));
    demand(checked.filter(({ ok }) => ok).length <= 1, "an image is of two formats");
    const [asQcow2] = checked;
    if (asQcow2?.ok) {
      const view = Buffer.from(input);
      demand(isQcow2(input) && view.readBigUInt64BE(8) === 0n, "an image is let through that names another file");
      demand(view.readUInt32BE(4) === 2 || (view.readBigUInt64BE(72) & 4n) === 0n, "an image is let through that keeps its data elsewhere");
      demand(asQcow2.virtualBytes <= BigInt(DISK_MIB) << 20n, "an image is let through that does not fit");
    }
    demand(checkDiskImage(input, 0n, "raw").ok === false, "an image of no bytes is one");
    return checked.some(({ ok }) => ok) ? ACCEPTED : REFUSED;
  },
};

const layer = gzipSync("layer");
const CONFIG = {
  architecture: "amd64",
  os: "linux",
  config: { Entrypoint: ["/bin/a"], Cmd: null, Env: ["A=b"], WorkingDir: "/", User: "0:0" },
  rootfs: { type: "layers", diff_ids: [hashOf(Buffer.from("layer")), hashOf(Buffer.from("layer"))] },
};
const configBytes = bytesOf(JSON.stringify(CONFIG));
const of = (bytes: Uint8Array, mediaType: string) => ({ mediaType, digest: hashOf(bytes), size: bytes.length });
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const IMAGE = {
  ...{ schemaVersion: 2, mediaType: MANIFEST_TYPE, config: of(configBytes, "application/vnd.oci.image.config.v1+json") },
  layers: [of(new Uint8Array(layer), "application/vnd.oci.image.layer.v1.tar+gzip")],
};
const manifestBytes = bytesOf(JSON.stringify(IMAGE));
const INDEX = { schemaVersion: 2, manifests: [{ ...of(manifestBytes, MANIFEST_TYPE), platform: { os: "linux", architecture: "amd64" } }] };

const NAMED = { ...of(manifestBytes, MANIFEST_TYPE), annotations: { "org.opencontainers.image.ref.name": "latest" } };

/** A registry that gives these bytes first, whatever was asked, and the right ones after. */
class Bent implements OciSource {
  readonly name = "registry";
  readonly #first: Uint8Array;
  constructor(first: Uint8Array) {
    this.#first = first;
  }
  async manifest(version: string | null) {
    return { mediaType: "", bytes: version === null ? this.#first : manifestBytes };
  }
  blob(digest: string): Uint8Array {
    return hashOf(this.#first) === digest ? this.#first : digest === hashOf(configBytes) ? configBytes : layer;
  }
  async save({ digest }: Descriptor, file: string): Promise<void> {
    await writeFile(file, this.blob(digest));
  }
}

/** What stands in it is played as the manifest and as the configuration of an image. */
const oci: Target = {
  name: "oci-manifest",
  covers: ["sdk/src/oci/manifest.ts#readManifest", "sdk/src/oci/image-config.ts#parseImageConfig"],
  corpus: async () => [manifestBytes, bytesOf(JSON.stringify(INDEX)), configBytes],
  mutate: bentJson,
  async play(input) {
    const outcomes = [
      await byRejecting(() => readManifest(new Bent(input)), OciError),
      byThrowing(() => parseImageConfig(input, "registry"), OciError),
    ];
    return outcomes.includes(ACCEPTED) ? ACCEPTED : OciError.name;
  },
};

/** Brings blobs as production does, without a file. */
const inMemory =
  (from: Bent): typeof lazyBlob =>
  (source, { digest, size }) => ({
    digest: digest.slice("sha256:".length),
    size,
    async read(offset, length) {
      const bytes = checkDigest(from.blob(digest), digest, source.name);
      if (bytes.length !== size) throw new OciError("a blob has another size than its manifest says");
      return bytes.subarray(offset, Math.min(offset + length, size));
    },
  });

/** As it is fetched and put together. */
const image: Target = {
  name: "oci-image",
  covers: ["sdk/src/oci/image.ts#resolveImage", "sdk/src/oci/image-config.ts#readImage", "sdk/src/oci/image-config.ts#unpackedBytesOf"],
  corpus: async () => [manifestBytes, bytesOf(JSON.stringify(INDEX)), configBytes],
  mutate: bentJson,
  async play(input) {
    const asConfig = new Bent(bytesOf(JSON.stringify({ ...IMAGE, config: of(input, "") })));
    asConfig.blob = () => input;
    const outcomes: string[] = [];
    for (const source of [new Bent(input), asConfig]) {
      const outcome = await byRejecting(() => resolveImage(source, "nowhere", inMemory(source)), OciError);
      if (isForFiles(input)) {
        const cache = path.join(playFolder(), "cache");
        demand((await byRejecting(() => resolveImage(source, cache), OciError)) === outcome, "an image is another one in files");
        await rm(cache, { recursive: true, force: true });
      }
      outcomes.push(outcome);
    }
    return outcomes.includes(ACCEPTED) ? ACCEPTED : OciError.name;
  },
};

const layout: Target = {
  name: "oci-layout",
  covers: ["sdk/src/oci/layout.ts#parseLayoutIndex"],
  corpus: async () => [bytesOf(JSON.stringify(INDEX)), bytesOf(JSON.stringify({ ...INDEX, manifests: [NAMED, ...INDEX.manifests] }))],
  mutate: bentJson,
  play(input) {
    const outcomes = [null, "latest"].map((tag) =>
      byThrowing(() => {
        for (const { digest } of fitting(parseLayoutIndex(textOf(input), "layout"), tag, "layout"))
          demand(/^sha256:[0-9a-f]{64}$/.test(digest), "a blob's name leads elsewhere");
      }, OciError),
    );
    return outcomes.includes(ACCEPTED) ? ACCEPTED : OciError.name;
  },
};

/** The image as `skopeo` and `umoci` lay it out. */
function layoutFolder(folder: string): void {
  const blobs = path.join(folder, "blobs", "sha256");
  mkdirSync(blobs, { recursive: true });
  writeFileSync(path.join(folder, "oci-layout"), '{"imageLayoutVersion": "1.0.0"}');
  writeFileSync(path.join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [NAMED] }));
  for (const blob of [manifestBytes, configBytes, layer]) writeFileSync(path.join(blobs, hashOf(blob).slice("sha256:".length)), blob);
}

const archive: Target = {
  name: "oci-archive",
  covers: [
    ...["sdk/src/oci/on-this-machine.ts#openHere", "sdk/src/oci/image-files.ts#openFiles", "sdk/src/oci/archive-index.ts#heldIn"],
    ...["sdk/src/oci/held-image.ts#heldImage", "sdk/src/oci/unpacked-stream.ts#unpackedOf", "sdk/src/oci/unpacked-stream.ts#unpackerFor"],
    "sdk/src/oci/unpacked-stream.ts#unpackedStream",
  ],
  async corpus() {
    const layouts = await archives(layoutFolder);
    return [...layouts, ...(await archives()), ...layouts.slice(0, 2).map((bytes) => new Uint8Array(gzipSync(bytes)))];
  },
  mutate: bentTar,
  async play(input) {
    const outcome = await byRejecting(async () => {
      for (const held of (await heldIn(handleOf(input), input.length)).values())
        demand(
          held.is === "link" || (held.from >= 0 && held.size >= 0 && held.from + held.size <= input.length),
          "a file lies outside its archive",
        );
    }, TarDamage);
    await byRejecting(async () => {
      for (const { blob } of (await heldImage(await openGiven(input, "archive"))).layers)
        demand(hashOf(await blob.read(0, blob.size)) === `sha256:${blob.digest}`, "a layer is sent as another one");
    }, OciError);
    if (!isForFiles(input)) return outcome;
    const file = path.join(playFolder(), "archive.tar");
    await writeFile(file, input);
    let isRead = false;
    const inFiles = await byRejecting(async () => {
      const { done } = await openFiles(file);
      isRead = true;
      await done();
      const opened = await openHere(`archive:${file}`);
      await opened.source.manifest(null).finally(opened.done);
    }, OciError);
    const found = packingOf(input.subarray(0, PACKING_BYTES));
    demand(!found.ok || found.packing !== "none" || isRead === (outcome === ACCEPTED), "another archive is read from a file");
    return inFiles;
  },
};

const SAVED = [
  { Config: "config", RepoTags: ["a:latest", "r.example/b:1"], Layers: ["layer", "layer"] },
  { Config: "config", RepoTags: null, Layers: ["layer"] },
];
/** The list of an archive as `docker save` writes it, of which the files are as they should be. */
const saved: Target = {
  name: "saved-images",
  covers: ["sdk/src/oci/docker-source.ts#DockerArchive"],
  corpus: async () => [bytesOf(JSON.stringify(SAVED)), bytesOf(JSON.stringify(SAVED.slice(1)))],
  mutate: bentJson,
  async play(input) {
    const held = new Map<string, Uint8Array>([
      ["config", configBytes],
      ["layer", new Uint8Array(layer)],
    ]);
    const files = {
      name: "archive",
      size: async (name: string) => held.get(name)?.length ?? null,
      stream: (name: string) => Readable.from([Buffer.from(held.get(name) ?? [])]),
      bytes: async (name: string) => held.get(name) ?? new Uint8Array(),
    };
    const outcomes = await Promise.all(
      [null, "a", "@1"].map((wanted) => byRejecting(() => new DockerArchive(files, textOf(input), wanted).manifest(null), OciError)),
    );
    return outcomes.includes(ACCEPTED) ? ACCEPTED : OciError.name;
  },
};

const challenge: Target = {
  name: "challenge",
  covers: ["sdk/src/oci/challenge.ts#challengesIn"],
  corpus: async () =>
    [
      'Bearer realm="https://a.example/token",service="a",scope="repository:a/b:pull"',
      'Basic realm="x\\"y", Bearer realm=https, service="b,c", Negotiate YWJj==, Digest nonce=a',
    ].map(bytesOf),
  mutate: bentLine,
  play(input) {
    const found = challengesIn(textOf(input));
    demand(
      found.every(({ scheme }) => scheme !== "" && scheme === scheme.toLowerCase()),
      "a challenge has a name that is none",
    );
    return found.length > 0 ? ACCEPTED : REFUSED;
  },
};

/** What somebody on the way from a registry has packed. */
const packed: Target = {
  name: "packed-answer",
  covers: ["sdk/src/oci/packed-answer.ts#unpacked"],
  corpus: async () => [new Uint8Array(gzipSync(manifestBytes)), new Uint8Array(gzipSync(configBytes))],
  mutate: bentBytes,
  play: (input) =>
    byRejecting(async () => {
      for await (const part of unpacked(Readable.from([input]), "registry.example"))
        demand(part.length > 0, "a piece of what was packed has no bytes");
    }, Mishap),
};

const SETTINGS = `pool = 3
drain_seconds = 5
[price]
fuel_hour = "0.02"
vcpu_hour = 0.01
[capacity]
vcpu = 4
memory = "8G"
disk = "20G"
[policy]
hours = "08:00-20:00"
egress = "names"
egress_ports = [80, 443]
allowed_parties = ["p_${"0".repeat(40)}"]
[labels]
region = "eu"
`;

const settings: Target = {
  name: "settings",
  covers: ["xenoserver/src/host/config.ts#parseServerConfig", "protocol/src/settings-file.ts#parseSettings"],
  corpus: async () => [SETTINGS, "[vm]\nenabled = false\nsnapshots = 0\n"].map(bytesOf),
  mutate: (input, random, others) => (random.chance(0.8) ? bentLine : bentBytes)(input, random, others),
  play(input) {
    try {
      parseServerConfig(textOf(input), "xenoserver.toml");
      return ACCEPTED;
    } catch (error) {
      if (error instanceof Error && error.message.startsWith("xenoserver.toml")) return REFUSED;
      throw error;
    }
  },
};

const isPublic = publicAddresses();
const address: Target = {
  name: "address",
  covers: ["guests/src/qemu/network/addresses.ts#publicAddresses"],
  corpus: async () =>
    ["192.0.2.1", "10.0.0.1", "::1", "::ffff:10.0.0.1", "2001:db8::1", "1.1.1.1", "fe80::1%eth0", "2606:4700::1111"].map(bytesOf),
  mutate: bentLine,
  play: (input) => (isPublic(textOf(input)) ? ACCEPTED : REFUSED),
};

export const MACHINE_TARGETS: readonly Target[] = [
  wasm,
  state,
  disk,
  oci,
  image,
  layout,
  archive,
  saved,
  challenge,
  packed,
  settings,
  address,
];
