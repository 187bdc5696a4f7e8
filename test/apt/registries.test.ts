/** Debian's own registry behind the proxy that misbehaves, and images as other engines save them. */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openImage } from "@xenoservers/sdk";
import { checkTrick } from "../registry/fetched.ts";
import { testImage, type Upstream } from "../registry/proxy.ts";
import { TRICKS } from "../registry/tricks.ts";
import { push, startRegistry, type TestRegistry } from "../vm/registry.ts";
import { layoutOf, run } from "../vm/support.ts";

const has = (program: string): boolean => {
  const found = !spawnSync(program, ["--version"]).error;
  if (!found) console.warn(`SKIPPED: ${program} (of Debian) is not installed`);
  return found;
};
const [registryIsHere, skopeoIsHere, podmanIsHere] = ["docker-registry", "skopeo", "podman"].map(has);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-registries-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(!registryIsHere)("docker-registry", () => {
  const image = testImage();
  let registry: TestRegistry;
  let upstream: Upstream;
  beforeAll(async () => {
    const layout = path.join(folder, "pushed");
    await mkdir(path.join(layout, "blobs/sha256"), { recursive: true });
    const digest = createHash("sha256").update(image.manifest).digest("hex");
    for (const [name, bytes] of [...image.blobs, [`sha256:${digest}`, image.manifest] as const])
      await writeFile(path.join(layout, "blobs/sha256", name.slice("sha256:".length)), bytes);
    const named = { digest: `sha256:${digest}`, annotations: { "org.opencontainers.image.ref.name": "box" } };
    await writeFile(path.join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
    registry = await startRegistry(path.join(folder, "registry"));
    await push(registry, layout, "box", "box");
    upstream = async (at) => {
      const response = await fetch(`http://${registry.host}${at}`, { headers: { accept: "application/vnd.oci.image.manifest.v1+json" } });
      return {
        status: response.status,
        type: response.headers.get("content-type") ?? "",
        bytes: Buffer.from(await response.arrayBuffer()),
      };
    };
  });
  afterAll(() => registry.child.kill());

  it.each(TRICKS)("$name", (row) => checkTrick(row, upstream, image.layers));

  it("gives its image as it is", async () => {
    const { digest, layers } = await openImage(`${registry.host}/box`, path.join(folder, "cache-as-it-is"));
    expect(digest).toBe(`sha256:${createHash("sha256").update(image.manifest).digest("hex")}`);
    expect(layers.map((layer) => `sha256:${layer.blob.digest}`)).toEqual(image.layers);
  });
});

/** A layout with one image, of a layer with a file of its own. */
async function layoutNamed(name: string): Promise<string> {
  const at = path.join(folder, name);
  await mkdir(path.join(at, "root"), { recursive: true });
  await writeFile(path.join(at, "root", name), `${name}\n`);
  await run("tar", ["-cf", path.join(at, "layer.tar"), "-C", path.join(at, "root"), "."]);
  await layoutOf(path.join(at, "layout"), [path.join(at, "layer.tar")], { config: { Cmd: [name] } });
  return path.join(at, "layout");
}
/** What an image starts, and the file in its layer. */
async function read(text: string): Promise<{ command: string[]; files: string; digest: string }> {
  const cache = await mkdtemp(path.join(folder, "cache-"));
  const { command, layers, digest } = await openImage(text, cache);
  const files: string[] = [];
  for (const { blob } of layers) {
    const file = path.join(cache, blob.digest);
    expect(
      createHash("sha256")
        .update(await readFile(file))
        .digest("hex"),
    ).toBe(blob.digest);
    files.push((await run("tar", ["-xOf", file])).stdout);
  }
  return { command, digest, files: files.join("") };
}
const one = { command: ["one"], files: "one\n" };
const two = { command: ["two"], files: "two\n" };

describe.skipIf(!skopeoIsHere)("images as skopeo copies them", () => {
  let [layout, other] = ["", ""];
  const copied = async (from: string, to: string, ...options: string[]): Promise<void> => {
    await run("skopeo", ["--insecure-policy", "copy", ...options, from, to]);
  };
  beforeAll(async () => {
    [layout, other] = [await layoutNamed("one"), await layoutNamed("two")];
  });

  it("into a layout, by any name, also one with colons", async () => {
    const to = path.join(folder, "named");
    await copied(`oci:${layout}:image`, `oci:${to}:r.example:5000/a/one:v1`);
    await copied(`oci:${other}:image`, `oci:${to}:two`);
    for (const name of ["r.example:5000/a/one:v1", "one:v1", "a/one:v1", "@0"])
      expect(await read(`oci:${to}:${name}`), name).toMatchObject(one);
    expect(await read(`oci:${to}:two`)).toMatchObject(two);
    await expect(read(`oci:${to}`)).rejects.toThrow(/holds 2 images: say which.*r\.example:5000\/a\/one:v1, two/);
    await expect(read(`oci:${to}:three`)).rejects.toThrow(/holds no image named three; it holds/);
    await expect(read(`oci:${folder}/nowhere:one`)).rejects.toThrow(/no file and no folder .*nowhere$/);
  });

  it("into archives of both kinds, packed or not, and folders", async () => {
    const [saved, oci, dir, both] = ["saved.tar", "oci.tar", "dir", "both:with:colons.tar"].map((name) => path.join(folder, name));
    await copied(`oci:${layout}:image`, `docker-archive:${saved}:r.example/a/one:v1`);
    await copied(`oci:${layout}:image`, `oci-archive:${oci}:one`);
    await copied(`oci:${layout}:image`, `dir:${dir}`);
    await run("cp", [saved ?? "", both ?? ""]);
    await run("gzip", ["-k", saved ?? ""]);
    for (const text of [`docker-archive:${saved}`, `archive:${saved}:r.example/a/one:v1`, `archive:${saved}.gz:a/one:v1`, `archive:${oci}`])
      expect(await read(text), text).toMatchObject(one);
    for (const text of [`oci-archive:${oci}:one`, `archive:${both}:one:v1`, `archive:${both}`, `dir:${dir}`])
      expect(await read(text), text).toMatchObject(one);
    await expect(read(`archive:${saved}:other`)).rejects.toThrow(/holds no image named other; it holds r\.example\/a\/one:v1/);
  });
});

describe.skipIf(!podmanIsHere || !skopeoIsHere)("images as podman saves them", () => {
  const podman = (...args: string[]): Promise<{ stdout: string }> =>
    run("podman", ["--root", path.join(folder, "podman"), "--runroot", path.join(folder, "run"), "--storage-driver", "vfs", ...args]);

  it("in each of its formats, two in one file, and gives the digest that it has", async () => {
    const store = `containers-storage:[vfs@${path.join(folder, "podman")}+${path.join(folder, "run")}]`;
    for (const name of ["one", "two"])
      await run("skopeo", ["--insecure-policy", "copy", `oci:${await layoutNamed(name)}:image`, `${store}localhost/${name}:v1`]);
    const at = (name: string): string => path.join(folder, `podman-${name}`);
    for (const format of ["docker-archive", "oci-archive", "oci-dir", "docker-dir"])
      await podman("save", "-q", "--format", format, "-o", at(format), "localhost/one:v1");
    await podman("save", "-q", "--multi-image-archive", "-o", at("several"), "localhost/one:v1", "localhost/two:v1");
    for (const format of ["docker-archive", "oci-archive", "oci-dir", "docker-dir"])
      expect(await read(`archive:${at(format)}`), format).toMatchObject(one);
    expect(await read(`archive:${at("several")}:two:v1`)).toMatchObject(two);
    expect(await read(`archive:${at("several")}:localhost/one:v1`)).toMatchObject(one);
    await expect(read(`archive:${at("several")}`)).rejects.toThrow(/holds 2 images.*localhost\/one:v1, localhost\/two:v1/);
  });
});
