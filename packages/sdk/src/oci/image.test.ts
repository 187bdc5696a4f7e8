/** Images as registries and archives give them: what no server could start is refused here, and what is unusual is read. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { resolveImage } from "./image.ts";
import { parseImageConfig } from "./image-config.ts";
import { readManifest } from "./manifest.ts";
import { OciError, type Descriptor, type OciSource } from "./source.ts";

const LAYER = "application/vnd.oci.image.layer.v1.tar";
let cache: string;
let saved: string[];
beforeEach(async () => {
  cache = await mkdtemp(path.join(tmpdir(), "xeno-oci-unit-"));
  saved = [];
});
afterEach(() => rm(cache, { recursive: true, force: true }));

class Memory implements OciSource {
  readonly name = "test/image";
  readonly #blobs = new Map<string, Buffer>();
  top = "";

  put(bytes: Buffer, algorithm = "sha256"): { digest: string; size: number } {
    const digest = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
    this.#blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  }
  putJson(value: unknown): { digest: string; size: number } {
    const put = this.put(Buffer.from(JSON.stringify(value)));
    this.top = put.digest;
    return put;
  }
  async manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }> {
    return { mediaType: "", bytes: this.#blobs.get(version ?? this.top) ?? Buffer.alloc(0) };
  }
  async save({ digest }: Descriptor, file: string): Promise<void> {
    saved.push(digest);
    await writeFile(file, this.#blobs.get(digest) ?? "");
  }
}

/** An image of these layers: bytes, and the type that its manifest says they have. */
function imageOf(layers: readonly [bytes: Buffer, mediaType: string][], config: object = {}): Memory {
  const source = new Memory();
  const about = source.putJson({ os: "linux", architecture: "amd64", config });
  const described = layers.map(([bytes, mediaType]) => ({ ...source.put(bytes), mediaType }));
  source.putJson({ schemaVersion: 2, config: { ...about, mediaType: "" }, layers: described });
  return source;
}
const said = (source: OciSource): Promise<string> =>
  resolveImage(source, cache).then(
    () => "taken",
    (error: unknown) => (error instanceof OciError ? error.message : `not an OciError: ${String(error)}`),
  );

it("counts what layers unpack to, whatever their types say, once", async () => {
  const skipped = Buffer.from("502a4d1801000000ff", "hex");
  const source = imageOf([
    [Buffer.alloc(1_000), LAYER],
    [Buffer.concat([gzipSync(Buffer.alloc(2_000)), gzipSync(Buffer.alloc(30))]), `${LAYER}+gzip`],
    [Buffer.concat([skipped, zstdCompressSync(Buffer.alloc(4_000)), zstdCompressSync(Buffer.alloc(5))]), `${LAYER}+gzip`],
  ]);
  expect(await (await resolveImage(source, cache)).unpackedBytes()).toBe(7_035);
  const before = saved.length;
  for (const name of await readdir(cache)) if (!name.endsWith(".unpacked")) await rm(path.join(cache, name));
  expect(await (await resolveImage(source, cache)).unpackedBytes()).toBe(7_035);
  // the configuration alone was brought anew
  expect(saved.length - before).toBe(1);
});

it("takes a layer that is named by sha512, brings it once, and knows it by the digest that servers know", async () => {
  const source = imageOf([]);
  const bytes = Buffer.alloc(1_024);
  const config = source.putJson({ os: "linux", architecture: "amd64" });
  source.putJson({
    schemaVersion: 2,
    config: { ...config, mediaType: "" },
    layers: [{ ...source.put(bytes, "sha512"), mediaType: LAYER }],
  });
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  for (const isHere of [false, true]) {
    const [layer] = (await resolveImage(source, cache)).layers;
    expect(await layer?.isHere()).toBe(isHere);
    await layer?.bring(() => {});
    expect([layer?.blob.digest, Buffer.from((await layer?.blob.read(0, 1_024)) ?? [])]).toEqual([sha256, bytes]);
    expect(await layer?.unpackedBytes()).toBe(1_024);
  }
  expect(saved.filter((each) => each.startsWith("sha512:"))).toHaveLength(1);
  const damaged = imageOf([]);
  const other = { digest: `sha512:${"0".repeat(128)}`, size: 0 };
  damaged.putJson({ schemaVersion: 2, config: { ...damaged.putJson({}), mediaType: "" }, layers: [{ ...other, mediaType: LAYER }] });
  await expect((await resolveImage(damaged, cache)).unpackedBytes()).rejects.toThrow("does not have the digest that its manifest states");
});

it("refuses layers that unpack to other bytes than their configuration states, by either hash, also when they are known already", async () => {
  const of = (hash: string, bytes: Buffer): string => `${hash}:${createHash(hash).update(bytes).digest("hex")}`;
  const [first, second] = [Buffer.alloc(1_024), Buffer.concat([Buffer.alloc(512), Buffer.alloc(1_024, "x")])];
  const bytesOf = async (stated: unknown): Promise<string> => {
    const source = new Memory();
    const config = source.putJson({ os: "linux", architecture: "amd64", rootfs: { type: "layers", DIFF_IDS: stated } });
    const layers = [gzipSync(first), second].map((bytes) => ({ ...source.put(bytes), mediaType: LAYER }));
    source.putJson({ schemaVersion: 2, config: { ...config, mediaType: "" }, layers });
    return (async () => (await resolveImage(source, cache)).unpackedBytes())().then(String, (error: unknown) =>
      error instanceof OciError ? error.message : `not an OciError: ${String(error)}`,
    );
  };
  const right = [of("sha256", first), of("sha256", second)];
  const other = [of("sha256", first), of("sha256", Buffer.alloc(3))];
  expect(await bytesOf(other)).toContain(`unpacks to other bytes than its configuration states (${other[1]!.slice(0, 19)}): build or push`);
  // what states nothing is taken, as by podman
  for (const stated of [right, undefined, null, [], [of("sha512", first), of("sha256", second)]])
    expect(await bytesOf(stated)).toBe("2560");
  expect(await bytesOf([...right].reverse())).toContain("other bytes than its configuration states");
  expect(await bytesOf([right[0], null])).toContain("other bytes than its configuration states ()");
  for (const odd of ["", "sha256:", "md5:0", right[0]!.toUpperCase()])
    expect(await bytesOf([odd, right[1]])).toContain(`states (${odd.slice(0, 19)})`);
  expect(await bytesOf(["\u001b[2J", right[1]])).not.toContain("\u001b");
  expect(await bytesOf(right.slice(1))).toBe("test/image has 2 layers, and its configuration states 1: build or push it anew");
  expect(await bytesOf([...right, right[0]])).toContain("has 2 layers, and its configuration states 3");
  expect(await bytesOf("sha256:x")).toBe("the configuration of test/image is damaged (rootfs.diff_ids)");
});

it("looks at a layer again whose note of what it unpacks to was cut short", async () => {
  const layer = Buffer.alloc(1_024);
  const source = new Memory();
  const stated = [`sha256:${createHash("sha256").update(layer).digest("hex")}`];
  const config = { ...source.putJson({ os: "linux", architecture: "amd64", rootfs: { diff_ids: stated } }), mediaType: "" };
  source.putJson({ schemaVersion: 2, config, layers: [{ ...source.put(gzipSync(layer)), mediaType: LAYER }] });
  const image = await resolveImage(source, cache);
  expect(await image.unpackedBytes()).toBe(1_024);
  const [note = ""] = (await readdir(cache)).filter((name) => name.endsWith(".unpacked"));
  const text = await readFile(path.join(cache, note), "utf8");
  await writeFile(path.join(cache, note), text.slice(0, -9));
  expect(await image.unpackedBytes()).toBe(1_024);
  expect(await readFile(path.join(cache, note), "utf8")).toBe(text);
});

it("refuses what is an index and an image at once: each reader would see another (CVE-2021-41190)", async () => {
  const source = imageOf([[Buffer.alloc(1_024), LAYER]]);
  const image = { digest: source.top, size: 1, platform: { os: "linux", architecture: "amd64" } };
  source.putJson({ schemaVersion: 2, manifests: [image], layers: [] });
  expect(await said(source)).toContain("is an index and an image at once (layers)");
});

it("stops at a layer that unpacks to more than the image may, and says of it what helps, also when it was looked at before", async () => {
  const MIB = 1024 * 1024;
  const source = imageOf([
    [Buffer.alloc(2 * MIB), LAYER],
    [gzipSync(Buffer.alloc(64 * MIB)), `${LAYER}+gzip`],
  ]);
  const image = await resolveImage(source, cache);
  await expect(image.unpackedBytes(20 * MIB)).rejects.toThrow(/a layer of .* unpacks to more than 18 MiB: .*--disk/);
  // nothing was noted of what was not read to its end
  expect(await image.unpackedBytes(66 * MIB)).toBe(66 * MIB);
  await expect((await resolveImage(source, cache)).unpackedBytes(66 * MIB - 1)).rejects.toThrow("--disk");
});

it("says what is wrong with a layer's bytes", async () => {
  const of = async (bytes: Buffer): Promise<string> => {
    const image = await resolveImage(imageOf([[bytes, LAYER]]), cache);
    return image.unpackedBytes().then(String, (error: unknown) => (error instanceof OciError ? error.message : String(error)));
  };
  expect(await of(Buffer.from("504b030414000000", "hex"))).toContain("packed with zip");
  // a signature of cosign's calls its configuration an image's
  for (const text of ['{"critical":{}}', "x".repeat(2_000)])
    expect(await of(gzipSync(text))).toContain("a layer of test/image is no archive of files");
  expect(await of(Buffer.alloc(0))).toBe("0");
  expect(await of(gzipSync("text").subarray(0, -6))).toContain("a layer of test/image is damaged");
});

it("takes only what can be started, and says why not", async () => {
  const layers = (count: number): [Buffer, string][] => Array.from({ length: count }, (_, i) => [Buffer.from(`layer ${i}`), LAYER]);
  expect(await said(imageOf(layers(127)))).toBe("taken");
  expect(await said(imageOf(layers(200)))).toContain("200 layers; servers take at most 128");
  expect(await said(imageOf([[Buffer.alloc(1), "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"]]))).toContain(
    "a layer of test/image is encrypted, and no server has its key",
  );
  expect(await said(imageOf([]))).toContain("has no layers");
  const arm = new Memory();
  const config = arm.putJson({ os: "linux", architecture: "arm64" });
  arm.putJson({ schemaVersion: 2, config: { ...config, mediaType: "" }, layers: [{ ...arm.put(Buffer.alloc(1)), mediaType: LAYER }] });
  expect(await said(arm)).toContain("linux/arm64; servers run linux/amd64");
  const first = new Memory();
  first.putJson({ schemaVersion: 1, name: "old", fsLayers: [] });
  expect(await said(first)).toContain("Docker's first format");
  // some tools write that number into a manifest of today's, which podman takes
  const today = new Memory();
  const described = { ...today.putJson({ os: "linux", architecture: "amd64" }), mediaType: "" };
  today.putJson({ schemaVersion: 1, config: described, layers: [{ ...today.put(Buffer.alloc(1)), mediaType: LAYER }] });
  expect(await said(today)).toBe("taken");
  const none = new Memory();
  none.top = none.put(Buffer.from("<html>not found</html>")).digest;
  expect(await said(none)).toContain("the manifest of test/image is damaged");
});

it("finds the image in an index of indexes, beside attestations", async () => {
  const source = imageOf([[Buffer.from("layer"), LAYER]]);
  const image = { digest: source.top, size: 1 };
  const inner = source.putJson({
    manifests: [
      { ...image, platform: { os: "unknown", architecture: "unknown" } },
      { ...image, platform: { os: "linux", architecture: "amd64" } },
    ],
  });
  source.putJson({ manifests: [inner] });
  expect((await resolveImage(source, cache)).digest).toBe(image.digest);
  source.putJson({ manifests: [{ ...image, platform: { os: "windows", architecture: "amd64" } }] });
  expect(await said(source)).toContain("it has windows/amd64");
});

it("looks for the image in all indexes of an index that name no platform, and in what names none after them", async () => {
  const source = imageOf([[Buffer.from("layer"), LAYER]]);
  const image = { digest: source.top, size: 1 };
  const ours = source.putJson({ manifests: [{ ...image, platform: { os: "linux", architecture: "x86_64" } }] });
  const arm = source.putJson({ manifests: [{ ...image, platform: { os: "linux", architecture: "arm64", variant: "v8" } }] });
  source.putJson({ manifests: [arm, ours] });
  expect((await readManifest(source)).digest).toBe(image.digest);
  // of several that say nothing podman takes the first
  source.putJson({ manifests: [{ ...arm, platform: { os: "linux", architecture: "s390x" } }, image, ours] });
  expect((await readManifest(source)).digest).toBe(image.digest);
  source.putJson({ manifests: [arm, arm, { ...image, platform: { architecture: "amd64" } }] });
  expect(await said(source)).toContain("it has ?/amd64, linux/arm64");
  source.putJson({ manifests: Array.from({ length: 1_000 }, () => arm) });
  expect(await said(source)).toContain("more than 20 images that name no platform");
  for (let i = 0; i < 3; i++) source.putJson({ manifests: [source.top === "" ? image : { digest: source.top, size: 1 }] });
  expect(await said(source)).toContain("deeper than 3");
});

it("fetches by sha256 and sha512, and says so of what needs another hash", async () => {
  const source = imageOf([[Buffer.from("layer"), LAYER]]);
  const image = { digest: source.top, size: 1, platform: { os: "linux", architecture: "amd64" } };
  const other = { digest: `sha384:${"0".repeat(96)}`, size: 1 };
  source.putJson({ manifests: [{ ...other, platform: { os: "linux", architecture: "arm64" } }, image] });
  expect(await said(source)).toBe("taken");
  source.putJson({ manifests: [{ ...image, ...other }] });
  expect(await said(source)).toContain("only digests of sha256 and sha512 are known here");
  const { manifest } = await readManifest(imageOf([[Buffer.from("layer"), LAYER]]));
  source.putJson({ schemaVersion: 2, ...manifest, layers: [{ ...manifest.layers[0], ...other }] });
  expect(await said(source)).toContain(`names a part by ${other.digest.slice(0, 20)}`);
});

it("fetches nothing by what is no digest of its hash, and says what one is", async () => {
  const { manifest } = await readManifest(imageOf([[Buffer.from("layer"), LAYER]]));
  const [a, b] = ["ab".repeat(32), "ab".repeat(64)];
  const cases = [`sha512:${a}`, `sha256:${b}`, `sha512:${b.toUpperCase()}`, `sha512:${b}:`, `sha256:${a}\n`, `sha256:../${a.slice(3)}`];
  for (const digest of cases) {
    const source = new Memory();
    source.putJson({ schemaVersion: 2, ...manifest, layers: [{ ...manifest.layers[0], digest }] });
    const [hash, digits] = digest.startsWith("sha256") ? ["sha256", 64] : ["sha512", 128];
    expect(await said(source)).toContain(`a digest of ${hash} has ${digits} digits of 0-9 and a-f; push it anew`);
  }
  expect(saved).toEqual([]);
});

it("starts no artifact, whatever its layers look like", async () => {
  const chart = new Memory();
  const config = { ...chart.putJson({ name: "chart" }), mediaType: "application/vnd.cncf.helm.config.v1+json" };
  chart.putJson({ schemaVersion: 2, config, layers: [{ ...chart.put(Buffer.from("layer")), mediaType: LAYER }] });
  expect(await said(chart)).toBe(
    "test/image is no image that can be started: its configuration is of the kind application/vnd.cncf.helm.config.v1+json",
  );
  const { manifest } = await readManifest(imageOf([[Buffer.from("layer"), LAYER]]));
  chart.putJson({ schemaVersion: 2, config: { ...manifest.config, mediaType: "" }, layers: null });
  chart.put(Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", config: {} })));
  expect(await said(chart)).toContain("has no layers");
});

it("says of WebAssembly in a registry what it is, and what to run", async () => {
  const told =
    "test/image is WebAssembly, not an image of Linux: fetch its module (oras pull, or unpack its layer) and run that (xeno run FILE.wasm)";
  const kinds = [
    ["application/vnd.wasm.config.v0+json", "application/wasm"],
    ["application/vnd.module.wasm.config.v1+json", "application/vnd.module.wasm.content.layer.v1+wasm"],
    ["application/vnd.oci.empty.v1+json", "application/vnd.wasm.content.layer.v1+wasm"],
    ["application/vnd.oci.image.config.v1+json", "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm"],
  ] as const;
  const of = (config: object, configType: string, layerType: string): Memory => {
    const source = new Memory();
    const layer = { ...source.put(Buffer.from("0061736d01000000", "hex")), mediaType: layerType };
    source.putJson({ schemaVersion: 2, config: { ...source.putJson(config), mediaType: configType }, layers: [layer] });
    return source;
  };
  for (const [configType, layerType] of kinds) expect(await said(of({}, configType, layerType))).toBe(told);
  for (const os of ["wasi", "wasip1", "linux"]) {
    const source = of({ os, architecture: "wasm" }, "", LAYER);
    expect(await said(source)).toBe(told);
    source.putJson({ manifests: [{ digest: source.top, size: 1, platform: { os, architecture: "wasm" } }] });
    expect(await said(source)).toBe(told);
  }
  expect(await said(of({ os: "linux", architecture: "amd64" }, "", "application/vnd.example.wasmtool.v1"))).toBe("taken");
});

it("takes layers of any type, for their bytes say what they are", async () => {
  for (const mediaType of ["", "application/octet-stream", "application/x-anything"])
    expect(await said(imageOf([[gzipSync("layer"), mediaType]]))).toBe("taken");
});

it("reads the configuration as engines do: names in any case, no platform for ours", async () => {
  const source = new Memory();
  const lower = {
    OS: "",
    architecture: "",
    Config: {
      cmd: ["one"],
      CMD: ["two"],
      workingdir: "/w",
      USER: "u",
      stopSignal: "9",
      env: ["A=1"],
      volumes: { "/Data/": {}, "rel/./x": null, "": {} },
    },
  };
  const about = source.putJson(lower);
  const layer = { ...source.put(Buffer.from("layer")), mediaType: LAYER };
  source.putJson({ schemaVersion: 2, config: about, layers: [layer] });
  expect(await resolveImage(source, cache)).toMatchObject({ command: ["two"], workdir: "/w", user: "u", stopSignal: "9", env: ["A=1"] });
  expect((await resolveImage(source, cache)).volumes).toEqual(["/Data/", "/rel/x"]);
});

it("brings no layer of another size than its manifest says", async () => {
  const source = imageOf([[Buffer.from("layer"), LAYER]]);
  const { manifest } = await readManifest(source);
  source.putJson({ schemaVersion: 2, ...manifest, layers: manifest.layers.map((layer) => ({ ...layer, size: 3 })) });
  const image = await resolveImage(source, cache);
  await expect(image.layers[0]!.bring(() => {})).rejects.toThrow(
    "a layer of test/image has 5 bytes, where its manifest says 3: push it anew",
  );
});

it.each(["sha256", "sha512"])(
  "orders no layer of another size than its manifest says, named by %s, also where it is here already",
  async (hash) => {
    const imageSaying = (size: number): Memory => {
      const source = new Memory();
      const config = source.putJson({ os: "linux", architecture: "amd64" });
      const layer = { ...source.put(Buffer.alloc(1_024), hash), mediaType: LAYER, size };
      source.putJson({ schemaVersion: 2, config: { ...config, mediaType: "" }, layers: [layer] });
      return source;
    };
    expect(await (await resolveImage(imageSaying(1_024), cache)).unpackedBytes()).toBe(1_024);
    for (const isLetGo of [false, true]) {
      if (isLetGo) for (const name of await readdir(cache)) if (!/\.(unpacked|sha512)$/.test(name)) await rm(path.join(cache, name));
      for (const size of [0, 3, Number.MAX_SAFE_INTEGER]) {
        const image = await resolveImage(imageSaying(size), cache);
        await expect(image.unpackedBytes()).rejects.toThrow(`has 1024 bytes, where its manifest says ${size}: push it anew`);
        if (isLetGo) continue;
        await expect(image.layers[0]!.isHere()).rejects.toThrow("where its manifest says");
        await expect(image.layers[0]!.bring(() => {})).rejects.toThrow("where its manifest says");
      }
    }
  },
);

it.each(["sha256", "sha512"])("brings a layer anew of which a machine that lost power has left a part here, named by %s", async (hash) => {
  const bytes = Buffer.alloc(1_024);
  const source = new Memory();
  const config = source.putJson({ os: "linux", architecture: "amd64" });
  const layer = { ...source.put(bytes, hash), mediaType: LAYER };
  source.putJson({ schemaVersion: 2, config: { ...config, mediaType: "" }, layers: [layer] });
  const { layers } = await resolveImage(source, cache);
  await layers[0]!.bring(() => {});
  const file = path.join(cache, createHash("sha256").update(bytes).digest("hex"));
  for (const left of [0, 700]) {
    await writeFile(file, bytes.subarray(0, left));
    const image = await resolveImage(source, cache);
    expect(await image.layers[0]!.isHere()).toBe(false);
    await image.layers[0]!.bring(() => {});
    expect(await image.layers[0]!.isHere()).toBe(true);
    expect(Buffer.from(await image.layers[0]!.blob.read(0, bytes.length)).equals(bytes)).toBe(true);
  }
});

it("passes over environment that sets nothing, as engines do", async () => {
  const { env } = await resolveImage(imageOf([[Buffer.from("l"), LAYER]], { Env: ["A=1", "NOTHING", "=x", "B="] }), cache);
  expect(env).toEqual(["A=1", "B="]);
});

it("starts what engines start of odd words, and takes a platform in any case of its letters", async () => {
  const started = async (config: object, more: object = {}): Promise<string[]> => {
    const { entrypoint, command } = parseImageConfig(Buffer.from(JSON.stringify({ config, ...more })), "odd");
    return [...entrypoint, "|", ...command];
  };
  expect(await started({ Entrypoint: [""], Cmd: ["/bin/true"] })).toEqual(["|", "/bin/true"]);
  expect(await started({ Entrypoint: ["", "a"] })).toEqual(["", "a", "|"]);
  expect(await started({ Cmd: ["/bin/echo", null] }, { os: "Linux", architecture: "AMD64" })).toEqual(["|", "/bin/echo", ""]);
  // as podman 4.3, which says the field, too
  const damaged: [string, object][] = [
    ["cmd", { Cmd: "/bin/sh -c x" }],
    ["entrypoint", { Entrypoint: "/bin/sh" }],
    ["env", { Env: { A: "1" } }],
    ["user", { User: 1000 }],
    ["workingdir", { WorkingDir: 7 }],
    ["volumes", { Volumes: ["/data"] }],
  ];
  for (const [field, config] of damaged)
    await expect(started(config)).rejects.toThrow(`the configuration of odd is damaged (config.${field})`);
  await expect(started([])).rejects.toThrow("the configuration of odd is damaged (config)");
  // half of a character is U+FFFD, as in Go: it was "a fault of xeno itself"
  expect(await started({ Entrypoint: ["a\ud800"], Cmd: ["\udc00b", "\ud83d\ude00"] })).toEqual(["a\ufffd", "|", "\ufffdb", "\ud83d\ude00"]);
  const halves = {
    User: "\ud800",
    WorkingDir: "/\ud800",
    StopSignal: "\ud800",
    Env: ["A=\ud800"],
    Volumes: { "/\ud800": {}, "//\ufffd": {} },
  };
  const read = parseImageConfig(Buffer.from(JSON.stringify({ config: halves })), "odd");
  expect(read).toMatchObject({ user: "\ufffd", workdir: "/\ufffd", stopSignal: "\ufffd", env: ["A=\ufffd"], volumes: ["/\ufffd"] });
  const taken = { Cmd: ["x"], Env: null, Labels: null, ExposedPorts: { http: {} }, Healthcheck: { Interval: "1s" } };
  expect(await started(taken, { history: [null], created: "yesterday" })).toEqual(["|", "x"]);
});

it("asks for no layer that this machine has no room for, whatever a manifest says of its size", async () => {
  const source = imageOf([[Buffer.alloc(10), LAYER]]);
  const { manifest } = await readManifest(source);
  const [layer] = manifest.layers;
  source.putJson({ schemaVersion: 2, ...manifest, layers: [{ ...layer, size: 2 ** 52 }] });
  const image = await resolveImage(source, cache);
  saved = [];
  await expect(image.layers[0]!.bring(() => {})).rejects.toThrow("no room");
  expect(saved).toEqual([]);
});

it("keeps nothing that does not hash to its name", async () => {
  const source = imageOf([[Buffer.from("layer"), LAYER]]);
  source.save = async (_, file) => writeFile(file, "something else");
  await expect(resolveImage(source, cache)).rejects.toThrow("does not have the digest");
  expect(await readdir(cache)).toEqual([]);
  expect(await readFile(cache).catch(() => "a folder")).toBe("a folder");
});
