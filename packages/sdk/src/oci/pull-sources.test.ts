/** Names of images under settings of container engines; rows after containers/image's own tests and containers-registries.conf(5). */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pullSources } from "./pull-sources.ts";
import { readRegistriesConf } from "./registries-conf.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-registries-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(at: string, text: string): Promise<string> {
  const file = path.join(folder, at);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}
const read = (env: NodeJS.ProcessEnv = {}) => readRegistriesConf({ HOME: path.join(folder, "home"), ...env }, path.join(folder, "etc"));

/** Where a name leads, each place as HOST/NAME:TAG, `!` where it may be insecure, `*` where the name itself names it; candidates apart. */
async function leads(name: string, env: NodeJS.ProcessEnv = {}): Promise<string[][] | null | string> {
  try {
    const found = pullSources(name, await read(env));
    return (
      found?.map(({ sources }) =>
        sources.map(
          ({ reference: { registry, repository, version }, isInsecure, isNamed }) =>
            `${registry}/${repository}${version.includes(":") ? "@" : ":"}${version}${isInsecure ? "!" : ""}${isNamed ? "*" : ""}`,
        ),
      ) ?? null
    );
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll(folder, "") : String(error);
  }
}
const DIGEST = `sha256:${"0".repeat(64)}`;
const OTHER_DIGEST = `sha512:${"0".repeat(128)}`;

it("goes to the registry itself, and to Docker's without one, where nothing is set", async () => {
  expect(await leads("r.example/a/b")).toEqual([["r.example/a/b:latest*"]]);
  expect(await leads("python:3.12")).toEqual([["registry-1.docker.io/library/python:3.12"]]);
  expect(await leads("N/x")).toBeNull();
});

describe("registries", () => {
  beforeEach(() =>
    put(
      "etc/registries.conf",
      `
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "mirror.example/hub"
[[registry.mirror]]
location = "10.0.0.7:5000"
insecure = true
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tags.example"
pull-from-mirror = "tag-only"
[[registry]]
prefix = "docker.io/forbidden"
blocked = true
[[registry]]
prefix = "example.com/foo"
location = "internal.example/bar"
[[registry]]
prefix = "example.com/foo/far"
location = "far.example"
insecure = true
[[registry]]
prefix = "*.wild.example"
blocked = true
[[registry]]
prefix = "by-digest.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m.example"
[[registry]]
prefix = "one.example/x:old"
location = "two.example/x:new"
`,
    ),
  );

  it.each([
    ["alpine:3", [["mirror.example/hub/library/alpine:3", "tags.example/library/alpine:3", "registry-1.docker.io/library/alpine:3"]]],
    [
      `docker.io/library/alpine@${DIGEST}`,
      [
        [
          `mirror.example/hub/library/alpine@${DIGEST}`,
          `10.0.0.7:5000/library/alpine@${DIGEST}!`,
          `registry-1.docker.io/library/alpine@${DIGEST}*`,
        ],
      ],
    ],
    ["docker.io/forbidden/x", "docker.io/forbidden/x is blocked in /etc/registries.conf: nothing is fetched from there"],
    ["docker.io/forbiddenly/x", expect.any(Array)],
    ["example.com/foo/image:latest", [["internal.example/bar/image:latest"]]],
    ["example.com/foo:1", [["internal.example/bar:1"]]],
    ["example.com/food:1", [["example.com/food:1*"]]],
    ["example.com/foo/far/x", [["far.example/x:latest!"]]],
    ["a.b.wild.example/x", expect.stringContaining("is blocked")],
    ["wild.example/x", [["wild.example/x:latest*"]]],
    ["evil.example/a.wild.example/x", [["evil.example/a.wild.example/x:latest*"]]],
    ["by-digest.example/x:1", [["by-digest.example/x:1*"]]],
    [`by-digest.example/x@${OTHER_DIGEST}`, [[`m.example/x@${OTHER_DIGEST}`, `by-digest.example/x@${OTHER_DIGEST}*`]]],
    [`by-digest.example/x@${DIGEST}`, [[`m.example/x@${DIGEST}`, `by-digest.example/x@${DIGEST}*`]]],
    ["one.example/x:old", [["two.example/x:new"]]],
    ["one.example/x:older", [["one.example/x:older*"]]],
  ])("%s", async (name, expected) => {
    expect(await leads(name)).toEqual(expected);
  });
});

describe("short names", () => {
  const ALIASES = '[aliases]\n"alpine" = "quay.io/a/alpine"\n"team/tool" = "r.example/team/tool"\n';

  it.each([
    ["permissive", "alpine:3", [["quay.io/a/alpine:3"]]],
    ["permissive", `alpine@${DIGEST}`, [[`quay.io/a/alpine@${DIGEST}`]]],
    ["permissive", "team/tool", [["r.example/team/tool:latest"]]],
    ["permissive", "other/tool", [["one.example/other/tool:latest"], ["registry-1.docker.io/other/tool:latest"]]],
    ["disabled", "x", [["one.example/x:latest"], ["registry-1.docker.io/library/x:latest"]]],
    ["enforcing", "x", "x names no registry, and settings want one that is chosen: write one.example/x or docker.io/x"],
    ["enforcing", "alpine", [["quay.io/a/alpine:latest"]]],
    ["enforcing", "localhost/x", [["localhost/x:latest*"]]],
  ])("%s: %s", async (mode, name, expected) => {
    await put(
      "etc/registries.conf",
      `unqualified-search-registries = ["one.example", "docker.io"]\nshort-name-mode = "${mode}"\n${ALIASES}`,
    );
    expect(await leads(name)).toEqual(expected);
  });

  it("are refused where settings have nowhere to search", async () => {
    await put("etc/registries.conf", "unqualified-search-registries = []\n");
    expect(await leads("x")).toBe("x names no registry, and settings have none to search: write HOST/x");
  });

  it("that were chosen once with podman count, and an empty one takes another away", async () => {
    await put("etc/registries.conf", ALIASES);
    await put("etc/registries.conf.d/10.conf", '[aliases]\n"alpine" = ""\n');
    await put("home/.cache/containers/short-name-aliases.conf", '[aliases]\n"team/tool" = "s.example/t"\n');
    expect(await leads("alpine")).toEqual([["registry-1.docker.io/library/alpine:latest"]]);
    expect(await leads("team/tool")).toEqual([["s.example/t:latest"]]);
  });
});

describe("files", () => {
  const search = (host: string): string => `unqualified-search-registries = ["${host}"]\n`;

  it("later ones go before earlier ones; the user's own file goes before all of the system's", async () => {
    await put("etc/registries.conf", search("a.example"));
    expect(await leads("x")).toEqual([["a.example/x:latest"]]);
    await put("etc/registries.conf.d/20.conf", search("c.example"));
    await put("etc/registries.conf.d/10.conf", search("b.example"));
    await put("etc/registries.conf.d/30.txt", search("no.example"));
    expect(await leads("x")).toEqual([["c.example/x:latest"]]);
    await put("home/.config/containers/registries.conf.d/05.conf", '[[registry]]\nlocation = "d.example"\nblocked = true\n');
    expect(await leads("d.example/x")).toContain("is blocked in /home/.config/containers/registries.conf.d/05.conf");
    await put("home/.config/containers/registries.conf", search("e.example"));
    expect(await leads("x")).toEqual([["e.example/x:latest"]]);
    const named = await put("named.conf", search("f.example"));
    await rm(path.join(folder, "etc/registries.conf.d"), { recursive: true });
    expect(await leads("x", { CONTAINERS_REGISTRIES_CONF: named })).toEqual([["f.example/x:latest"]]);
  });

  it.each([
    ["no TOML", "[[registry", /^\/etc\/registries\.conf is not TOML/],
    ["the first form", '[registries.search]\nregistries = ["a"]\n', /the first form of this file/],
    ["a registry without a name", "[[registry]]\nblocked = true\n", /neither a prefix nor a location/],
    ["an address for a place", '[[registry]]\nlocation = "https://r.example"\n', /is an address: write HOST\/PATH/],
    ["a wrong value", 'short-name-mode = "maybe"\n', /short-name-mode/],
    // podman 5764
    ["a mirror of no registry", '[[registry.mirror]]\nlocation = "a.example"\n', /registries\.conf: registry: /],
    ["a mirror that is no place", '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "here"\n', /names no image/],
  ])("with %s are refused in words", async (_, text, words) => {
    await put("etc/registries.conf", text);
    expect(await leads("a.example/x")).toMatch(words);
  });

  // podman 14306: a key behind a table belongs to the table
  it("with a key in the wrong place say nothing by it", async () => {
    await put(
      "etc/registries.conf",
      '[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "m.example"\nshort-name-mode = "enforcing"\n',
    );
    expect(await leads("x")).toEqual([["m.example/library/x:latest", "registry-1.docker.io/library/x:latest"]]);
  });

  it("of a version to come, with keys that are not known here, are read", async () => {
    await put("etc/registries.conf", 'credential-helpers = ["containers-auth.json"]\nadditional-layer-store-auth-helper = "x"\n');
    expect(await leads("a.example/x")).toEqual([["a.example/x:latest*"]]);
  });

  it("that are named and not there are told", async () => {
    expect(await leads("x", { CONTAINERS_REGISTRIES_CONF: "/nowhere/at.conf" })).toBe(
      "there is no file /nowhere/at.conf, which CONTAINERS_REGISTRIES_CONF names",
    );
  });
});
