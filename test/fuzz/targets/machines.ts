/** Modules, images and settings: what customers bring to be run, and what an owner writes. */
import { mkdtempSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import wabtInit from "wabt";
import { BadState, prepareModule, readState } from "@xenoservers/engine";
import { diskImageProblem } from "@xenoservers/protocol";
import { IMAGE_HEADER_BYTES, checkDiskImage, isQcow2 } from "../../../packages/protocol/src/disk-image.ts";
import { publicAddresses } from "../../../packages/guests/src/qemu/network/addresses.ts";
import { challengesIn } from "../../../packages/sdk/src/oci/challenge.ts";
import { parseImageConfig, readManifest, resolveImage } from "../../../packages/sdk/src/oci/image.ts";
import { DockerArchive } from "../../../packages/sdk/src/oci/docker-archive.ts";
import { openFiles } from "../../../packages/sdk/src/oci/image-files.ts";
import { parseLayoutIndex } from "../../../packages/sdk/src/oci/layout.ts";
import { fitting } from "../../../packages/sdk/src/oci/named-images.ts";
import { openHere } from "../../../packages/sdk/src/oci/on-this-machine.ts";
import { OciError, hashOf, type Descriptor, type OciSource } from "../../../packages/sdk/src/oci/source.ts";
import { parseServerConfig } from "../../../packages/xenoserver/src/host/config.ts";
import { generateModule } from "../../engine/generate.ts";
import { built, traced } from "../../engine/traced.ts";
import { archives } from "../archives.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { bentTar } from "../mutate/tar.ts";
import { bentLine } from "../mutate/text.ts";
import { bentModule } from "../mutate/wasm.ts";
import { ACCEPTED, REFUSED, byRejecting, byThrowing, bytesOf, demand, textOf, type Target } from "../target.ts";

const folder = mkdtempSync(path.join(tmpdir(), "xeno-fuzz-machines-"));
process.once("exit", () => void rm(folder, { recursive: true, force: true }));

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
  async save({ digest }: Descriptor, file: string): Promise<void> {
    await writeFile(file, hashOf(this.#first) === digest ? this.#first : digest === hashOf(configBytes) ? configBytes : layer);
  }
}

/** What stands in it is played as the manifest and as the configuration of an image. */
const oci: Target = {
  name: "oci-manifest",
  covers: ["sdk/src/oci/image.ts#readManifest", "sdk/src/oci/image.ts#parseImageConfig"],
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

/** As it is fetched, kept and put together, in files. */
const image: Target = {
  name: "oci-image",
  covers: ["sdk/src/oci/image.ts#resolveImage"],
  corpus: async () => [manifestBytes, bytesOf(JSON.stringify(INDEX)), configBytes],
  mutate: bentJson,
  async play(input) {
    const asConfig = bytesOf(JSON.stringify({ ...IMAGE, config: of(input, "") }));
    const source = new Bent(asConfig);
    source.save = async (_, file) => writeFile(file, input);
    const cache = path.join(folder, "cache");
    const outcomes = [
      await byRejecting(() => resolveImage(new Bent(input), cache), OciError),
      await byRejecting(() => resolveImage(source, path.join(folder, "configs")), OciError),
    ];
    await rm(path.join(folder, "configs"), { recursive: true, force: true });
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

const archive: Target = {
  name: "oci-archive",
  covers: ["sdk/src/oci/on-this-machine.ts#openHere", "sdk/src/oci/image-files.ts#openFiles"],
  async corpus() {
    const whole = await archives();
    return [...whole, ...whole.slice(0, 2).map((bytes) => new Uint8Array(gzipSync(bytes)))];
  },
  mutate: bentTar,
  async play(input) {
    const file = path.join(folder, "archive.tar");
    await writeFile(file, input);
    const image = await byRejecting(async () => {
      const { source, done } = await openHere(`archive:${file}`);
      try {
        await source.manifest(null);
      } finally {
        await done();
      }
    }, OciError);
    // most hold no image, and are archives
    const opened = await byRejecting(async () => (await openFiles(file)).done(), OciError);
    return [image, opened].includes(ACCEPTED) ? ACCEPTED : OciError.name;
  },
};

const SAVED = [
  { Config: "config", RepoTags: ["a:latest", "r.example/b:1"], Layers: ["layer", "layer"] },
  { Config: "config", RepoTags: null, Layers: ["layer"] },
];
/** The list of an archive as `docker save` writes it, of which the files are as they should be. */
const saved: Target = {
  name: "saved-images",
  covers: ["sdk/src/oci/docker-archive.ts#DockerArchive"],
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
  covers: ["xenoserver/src/host/config.ts#parseServerConfig"],
  corpus: async () => [bytesOf(SETTINGS), await readFile("package.json").then(() => bytesOf("[vm]\nenabled = false\nsnapshots = 0\n"))],
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

export const MACHINE_TARGETS: readonly Target[] = [wasm, state, disk, oci, image, layout, archive, saved, challenge, settings, address];
