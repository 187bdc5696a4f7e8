/** Archives and folders of images as engines have written them over the years; test/apt has them from the engines themselves. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openImage } from "@xenoservers/sdk";
import { command } from "../process/command.ts";

const run = promisify(execFile);
const digestOf = (bytes: Buffer | string): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
let folder: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-saved-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Files below a new folder; what begins with "-> " is a link. */
async function put(files: Readonly<Record<string, string | Buffer | object>>): Promise<string> {
  const at = path.join(folder, `f${++made}`);
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(at, name);
    await mkdir(path.dirname(file), { recursive: true });
    if (typeof content === "string" && content.startsWith("-> ")) await symlink(content.slice(3), file);
    else await writeFile(file, typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content));
  }
  return at;
}
async function archived(at: string, ...how: string[]): Promise<string> {
  const file = `${at}.tar`;
  await run("tar", [...how, "-cf", file, "-C", at, "."]);
  return file;
}
async function opened(text: string): Promise<{ command: string[]; layers: string[]; digest: string }> {
  const cache = path.join(folder, `cache${++made}`);
  const { command, layers, digest } = await openImage(text, cache);
  return { command, digest, layers: await Promise.all(layers.map(({ blob }) => readFile(path.join(cache, blob.digest), "utf8"))) };
}

const configOf = (name: string, layers: readonly string[], architecture = "amd64"): string =>
  JSON.stringify({ os: "linux", architecture, config: { Cmd: [name] }, rootfs: { type: "layers", diff_ids: layers.map(digestOf) } });

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";
/** Blobs of an OCI image, and what names its manifest. */
function ociImage(
  name: string,
  architecture = "amd64",
): { files: Record<string, string>; described: { digest: string; size: number; mediaType: string } } {
  const layer = `layer of ${name}`;
  const config = configOf(name, [layer], architecture);
  const about = (text: string, mediaType: string) => ({ mediaType, digest: digestOf(text), size: text.length });
  const manifest = JSON.stringify({
    ...{ schemaVersion: 2, mediaType: MANIFEST_TYPE, config: about(config, "application/vnd.oci.image.config.v1+json") },
    layers: [about(layer, "application/vnd.oci.image.layer.v1.tar")],
  });
  return { files: blobs(layer, config, manifest), described: about(manifest, MANIFEST_TYPE) };
}
const blobs = (...texts: string[]): Record<string, string> =>
  Object.fromEntries(texts.map((text) => [`blobs/sha256/${digestOf(text).slice("sha256:".length)}`, text]));
const named = (name: string) => ({ annotations: { "org.opencontainers.image.ref.name": name } });

it("reads what docker save wrote before layouts, with a layer that is a link to another image's", async () => {
  const file = await archived(
    await put({
      "a.json": configOf("a", ["base", "top"]),
      "b.json": configOf("b", ["base"]),
      "1/layer.tar": "base",
      "2/layer.tar": "top",
      "3/layer.tar": "-> ../1/layer.tar",
      "4/layer.tar.gz": gzipSync("packed"),
      "c.json": configOf("c", ["base", "packed"]),
      "manifest.json": [
        { Config: "a.json", RepoTags: ["a:1", "r.example/a:latest"], Layers: ["1/layer.tar", "2/layer.tar"] },
        { Config: "b.json", RepoTags: null, Layers: ["3/layer.tar"] },
        { Config: "c.json", RepoTags: ["c:1"], Layers: ["3/layer.tar", "4/layer.tar.gz"] },
      ],
    }),
  );
  const a = { command: ["a"], layers: ["base", "top"] };
  for (const name of ["a:1", "r.example/a", "r.example/a:latest", "@0"])
    expect(await opened(`archive:${file}:${name}`), name).toMatchObject(a);
  expect(await opened(`archive:${file}:@1`)).toMatchObject({ command: ["b"], layers: ["base"] });
  expect((await opened(`archive:${file}:c:1`)).layers).toHaveLength(2);
  await expect(opened(`archive:${file}`)).rejects.toThrow("holds 3 images: say which, as");
  await expect(opened(`archive:${file}:a:2`)).rejects.toThrow(/holds no image named a:2; it holds a:1, r\.example\/a:latest, c:1$/);
  // the same digest every time: an image is known again
  expect((await opened(`archive:${file}:@1`)).digest).toBe((await opened(`docker-archive:${file}:@1`)).digest);
});

it("reads what docker save writes since version 25: a layout of a layout, and the old list, in one", async () => {
  const [amd, arm] = [ociImage("amd"), ociImage("arm", "arm64")];
  const nested = JSON.stringify({
    ...{ schemaVersion: 2, mediaType: INDEX_TYPE },
    manifests: [
      { ...arm.described, platform: { os: "linux", architecture: "arm64" } },
      { ...amd.described, platform: { os: "linux", architecture: "amd64" } },
      { ...amd.described, digest: digestOf("proof"), platform: { os: "unknown", architecture: "unknown" } },
    ],
  });
  const index = {
    ...{ schemaVersion: 2, mediaType: INDEX_TYPE },
    manifests: [
      {
        ...{ mediaType: INDEX_TYPE, digest: digestOf(nested), size: nested.length },
        annotations: { "io.containerd.image.name": "docker.io/library/box:latest", "org.opencontainers.image.ref.name": "latest" },
      },
    ],
  };
  const layer = Object.keys(amd.files).find((name) => amd.files[name] === "layer of amd") ?? "";
  const config = Object.keys(amd.files).find((name) => amd.files[name]?.includes("diff_ids")) ?? "";
  const files = { ...arm.files, ...amd.files, ...blobs(nested), "index.json": index, "oci-layout": { imageLayoutVersion: "1.0.0" } };
  const list = [{ Config: config, RepoTags: ["box:latest"], Layers: [layer] }];
  const wanted = { command: ["amd"], layers: ["layer of amd"] };
  const both = await archived(await put({ ...files, "manifest.json": list }));
  for (const text of [`archive:${both}`, `archive:${both}:box`, `oci-archive:${both}:docker.io/library/box:latest`])
    expect(await opened(text), text).toMatchObject(wanted);
  const alone = await put(files);
  for (const text of [`oci:${alone}`, `oci:${alone}:box`, `oci:${alone}:latest`, `oci:${alone}:library/box:latest`])
    expect(await opened(text), text).toMatchObject({ ...wanted, digest: amd.described.digest });
});

it("reads an archive whose layout lacks what its list has, and one whose links lead from the top", async () => {
  const config = configOf("c", ["layer"]);
  const [empty, hollow] = [
    `blobs/sha256/${digestOf(config).slice(7)}`,
    JSON.stringify({ schemaVersion: 2, config: { digest: digestOf(config), size: config.length }, layers: [] }),
  ];
  const index = { manifests: [{ mediaType: MANIFEST_TYPE, digest: digestOf(hollow), size: hollow.length }] };
  const list = (Config: string) => ({ "manifest.json": [{ Config, RepoTags: ["c:1"], Layers: ["1/layer.tar"] }] });
  const wanted = { command: ["c"], layers: ["layer"] };
  const first = await put({ ...blobs(config, hollow), "index.json": index, "1/layer.tar": "layer", ...list(empty) });
  expect(await opened(`archive:${await archived(first)}`)).toMatchObject(wanted);
  const second = await put({ c: config, "1/layer.tar": "-> .l.tar", ".l.tar": "layer", ...list("c") });
  expect(await opened(`archive:${await archived(second)}`)).toMatchObject(wanted);
});

it("picks this machine's platform where a layout has no index of its own for them", async () => {
  const [amd, newer, arm] = [ociImage("amd"), ociImage("newer"), ociImage("arm", "arm64")];
  const at = await put({
    ...{ ...amd.files, ...newer.files, ...arm.files },
    "index.json": {
      manifests: [
        { ...arm.described, platform: { os: "linux", architecture: "arm64", variant: "v8" } },
        { ...newer.described, platform: { os: "linux", architecture: "amd64", variant: "v3" } },
        { ...amd.described, platform: { os: "linux", architecture: "amd64" } },
        { ...amd.described, digest: digestOf("proof"), platform: { os: "unknown", architecture: "unknown" } },
      ],
    },
  });
  expect(await opened(`oci:${at}`)).toMatchObject({ command: ["amd"] });
  const other = await put({
    ...arm.files,
    "index.json": { manifests: [{ ...arm.described, platform: { os: "linux", architecture: "arm64" } }] },
  });
  await expect(opened(`oci:${other}`)).rejects.toThrow("an image for linux/arm64");
});

it("knows an image that stands there under two names as one, and tells several apart", async () => {
  const [one, two] = [ociImage("one"), ociImage("two")];
  const same = await put({
    ...one.files,
    "index.json": {
      manifests: [
        { ...one.described, ...named("x:1") },
        { ...one.described, ...named("x:2") },
      ],
    },
  });
  expect(await opened(`oci:${same}`)).toMatchObject({ command: ["one"] });
  expect(await opened(`oci:${same}:x:2`)).toMatchObject({ command: ["one"] });
  const several = await put({
    ...{ ...one.files, ...two.files },
    "index.json": {
      manifests: [
        { ...one.described, ...named("r.example:5000/n/x:1") },
        { ...two.described, ...named("x") },
      ],
    },
  });
  expect(await opened(`oci:${several}:r.example:5000/n/x:1`)).toMatchObject({ command: ["one"] });
  expect(await opened(`oci:${several}:x`)).toMatchObject({ command: ["two"] });
  await expect(opened(`oci:${several}`)).rejects.toThrow(/holds 2 images: say which, as .*:NAME; it holds r\.example:5000\/n\/x:1, x$/);
  await expect(opened(`oci:${several}:y`)).rejects.toThrow("holds no image named y; it holds");
});

it.each([
  [
    "a layer that is not there",
    { "manifest.json": [{ Config: "c", RepoTags: [], Layers: ["l"] }], c: configOf("c", ["l"]) },
    "lacks a layer that it names",
  ],
  ["no configuration", { "manifest.json": [{ Config: "c", Layers: [] }] }, "lacks the configuration that it names"],
  [
    "another layer",
    { "manifest.json": [{ Config: "c", Layers: ["l"] }], c: configOf("c", ["l"]), l: "other" },
    "does not have the digest that its configuration states",
  ],
  [
    "fewer layers than its configuration states",
    { "manifest.json": [{ Config: "c", Layers: ["l"] }], c: configOf("c", ["l", "m"]), l: "l" },
    "it lists 1 layers, and its configuration states 2",
  ],
  [
    "a name that leads out of it",
    { "manifest.json": [{ Config: "../../../etc/hostname", Layers: [] }] },
    "lacks the configuration that it names",
  ],
  [
    "links without an end",
    { "manifest.json": [{ Config: "c", Layers: [] }], c: "-> d", d: "-> c" },
    "lacks the configuration that it names",
  ],
  ["a list that is none", { "manifest.json": "[7]" }, "its manifest.json is damaged"],
  ["Docker's first format", { repositories: {} }, "Docker's first format"],
  ["nothing of an image", { file: "x" }, "is no OCI image layout"],
])("refuses an archive with %s, in words", async (_, files, why) => {
  await expect(opened(`archive:${await archived(await put(files))}`)).rejects.toThrow(why);
});

it("sends no file of this machine that a folder names as a layer, or a link in it leads to", async () => {
  const secret = path.join(folder, "secret");
  await writeFile(secret, gzipSync("a secret"));
  const list = (layer: string) => ({ "manifest.json": [{ Config: "c", Layers: [layer] }] });
  const layers = { c: configOf("c", ["another"]), link: `-> ${secret}`, ...list("link") };
  await expect(opened(`oci:${await put(layers)}`)).rejects.toThrow("does not have the digest that its configuration states");
  await expect(opened(`oci:${await put({ ...layers, ...list("../secret") })}`)).rejects.toThrow("lacks a layer that it names");
  await expect(opened(`oci:${await put({ ...layers, ...list(secret) })}`)).rejects.toThrow("lacks a layer that it names");
});

it("says what to write where it leads to nothing", async () => {
  await expect(opened("oci:")).rejects.toThrow("write the path of a file or folder behind the colon");
  await expect(opened("archive:/nowhere:x:y")).rejects.toThrow("there is no file and no folder /nowhere");
});

it("says in words what no order holds of an image: too many arguments, a user that is no name; and where a program's own options stand", async () => {
  const layer = "\0".repeat(1_024); // an archive of nothing
  const list = [{ Config: "c", RepoTags: ["c:1"], Layers: ["1/layer.tar"] }];
  const file = await archived(await put({ c: configOf("c", [layer]), "1/layer.tar": layer, "manifest.json": list }));
  const home = path.join(folder, "home");
  const said = async (...words: string[]): Promise<string> =>
    (await command(home, "run", "--dry-run", "--image", `archive:${file}`, ...words)).stderr;
  const many = Array.from({ length: 1_025 }, () => "a");
  expect(await said("--", ...many)).toContain("more than 1024 arguments or variables: bring them as a file with --in");
  expect(await said("--user", "web\n")).toContain("the image has no user 'web\\n': name another with --user");
  expect(await said("-tool")).toContain("what is the program's own stands behind its name, or behind --");
  expect(await said("--", "-tool", "-a")).toContain("runs     -tool -a");
});
