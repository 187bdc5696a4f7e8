/** Logins as docker and podman keep them, and where they look first; no secret stands in what is said. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemTimers } from "@xenoservers/protocol/link";
import { loginFor, placesOf, type FoundLogin } from "./logins.ts";
import { parseReference } from "./reference.ts";

const SECRET = "s3cr:et";
const auth = (user: string, password = SECRET): { auth: string } => ({ auth: Buffer.from(`${user}:${password}`).toString("base64") });
const carl = { kind: "password", user: "carl", password: SECRET };

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "xeno-logins-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function put(at: string, value: unknown): Promise<string> {
  const file = path.join(home, at);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, typeof value === "string" ? value : JSON.stringify(value));
  return file;
}
function look(name: string, env: NodeJS.ProcessEnv = {}): Promise<FoundLogin> {
  const reference = parseReference(name);
  if (!reference) throw new Error(`${name} is no name`);
  return loginFor({ reference, isInsecure: false, isNamed: true }, systemTimers, {
    HOME: home,
    XDG_RUNTIME_DIR: path.join(home, "run"),
    ...env,
  });
}
/** A helper that writes down what it is asked. */
async function helper(name: string, script: string): Promise<NodeJS.ProcessEnv> {
  await chmod(await put(`bin/docker-credential-${name}`, `#!/bin/sh\nread asked; echo "$1 $asked" >> ${home}/asked\n${script}\n`), 0o755);
  return { PATH: `${path.join(home, "bin")}:/usr/bin:/bin` };
}
const asked = (): Promise<string> => readFile(path.join(home, "asked"), "utf8");

it("looks for the most specific place first", () => {
  expect(placesOf({ registry: "r.example:5000", repository: "a/b/c" })).toEqual([
    "r.example:5000/a/b/c",
    "r.example:5000/a/b",
    "r.example:5000/a",
    "r.example:5000",
  ]);
  expect(placesOf({ registry: "registry-1.docker.io", repository: "library/x" })).toContain("docker.io/library");
});

describe("a file of logins", () => {
  it.each([
    ["python:3.12", "https://index.docker.io/v1/"],
    ["python:3.12", "docker.io"],
    ["carl/x", "index.docker.io"],
    ["carl/x", "docker.io/carl"],
    ["r.example/x", "r.example"],
    ["r.example/x", "https://r.example"],
    ["r.example/x", "https://r.example/v2/"],
    ["r.example/x", "http://r.example/v1/"],
    ["localhost:5000/a/x", "localhost:5000"],
    ["r.example/a/b", "r.example/a/b"],
  ])("holds one for %s under %s", async (name, key) => {
    await put(".docker/config.json", { auths: { "other.example": auth("nobody"), [key]: auth("carl") } });
    expect(await look(name)).toEqual({ login: carl, own: null, troubles: [] });
  });

  it("holds one for a part of a registry, which goes before that for all of it, and is no other part's", async () => {
    await put("run/containers/auth.json", {
      auths: { "r.example": auth("all"), "r.example/a": auth("part"), "r.example/a/b": auth("carl") },
    });
    expect((await look("r.example/a/b")).login).toEqual(carl);
    expect((await look("r.example/a/c")).login).toMatchObject({ user: "part" });
    expect((await look("r.example/ab/c")).login).toMatchObject({ user: "all" });
    expect((await look("r.example.evil.example/a/b")).login).toBeNull();
  });

  it("may hold a token, a name with its password, or what docker leaves where a helper has it", async () => {
    await put(".docker/config.json", {
      auths: {
        "t.example": { identitytoken: "refresh", ...auth("x") },
        "p.example": { username: "carl", password: SECRET },
        "e.example": {},
      },
    });
    expect((await look("t.example/x")).login).toEqual({ kind: "token", token: "refresh" });
    expect((await look("p.example/x")).login).toEqual(carl);
    expect((await look("e.example/x")).login).toBeNull();
  });

  it("is podman's before docker's, and the one that is named before both", async () => {
    await put(".docker/config.json", { auths: { "r.example": auth("docker") } });
    expect((await look("r.example/x")).login).toMatchObject({ user: "docker" });
    const other = path.dirname(await put("elsewhere/config.json", { auths: { "r.example": auth("moved") } }));
    expect((await look("r.example/x", { DOCKER_CONFIG: other })).login).toMatchObject({ user: "moved" });
    await put(".config/containers/auth.json", { auths: { "r.example": auth("kept") } });
    expect((await look("r.example/x")).login).toMatchObject({ user: "kept" });
    await put("run/containers/auth.json", { auths: { "r.example": auth("running") } });
    expect((await look("r.example/x")).login).toMatchObject({ user: "running" });
    const named = await put("named.json", { auths: {} });
    expect((await look("r.example/x", { REGISTRY_AUTH_FILE: named })).login).toBeNull();
  });

  it.each([
    ["no text at all", "", null],
    ["another shape", '{"auths":5,"credHelpers":[],"credsStore":{}}', null],
    ["no JSON", "{", /config\.json is not JSON$/],
    ["a list", "[]", /config\.json is no file of logins$/],
    [
      "a login without a name",
      { auths: { "r.example": { auth: Buffer.from(SECRET.replace(":", "")).toString("base64") } } },
      /is damaged: log in anew$/,
    ],
  ])("of %s", async (_, value, refused) => {
    await put(".docker/config.json", value);
    const found = await look("r.example/x").catch((error: Error) => error.message);
    if (refused === null) expect(found).toEqual({ login: null, own: null, troubles: [] });
    else expect(found).toMatch(refused);
    expect(JSON.stringify(found)).not.toMatch(/s3cr|czNjc/);
  });
});

describe("a helper", () => {
  it("is asked by its protocol, for a registry of its own before all", async () => {
    const env = await helper("one", `echo '{"ServerURL":"x","Username":"carl","Secret":"${SECRET}"}'`);
    await helper("two", `echo '{"ServerURL":"x","Username":"<token>","Secret":"refresh"}'`);
    await put(".docker/config.json", { auths: { "r.example": {} }, credsStore: "two", credHelpers: { "r.example": "one" } });
    expect(await look("r.example/x", env)).toEqual({ login: carl, own: null, troubles: [] });
    expect((await look("python", env)).login).toEqual({ kind: "token", token: "refresh" });
    expect(await asked()).toBe("get r.example\nget https://index.docker.io/v1/\n");
  });

  it.each([
    ["holds nothing", "echo 'credentials not found in native keychain'; exit 1", []],
    ["fails", `echo ${SECRET}; exit 3`, [/^docker-credential-one failed \(exit code 3\) \(named in .*config\.json\)$/]],
    ["says something else", `echo '{"Username":"carl","Password":"${SECRET}"}'`, [/^what docker-credential-one says is no login/]],
    ["ends without reading", "exec 0<&-; exit 1", [/failed/]],
    ["says too much", "yes 0123456789 | head -c 200000", [/says more than any login is/]],
    [
      "has words for people",
      "echo 'first run: gcloud auth login' >&2; exit 1",
      [/failed \(exit code 1\) \(first run: gcloud auth login\)/],
    ],
    ["says to people that it holds nothing", "echo 'credentials not found in native keychain' >&2; exit 1", []],
    ["says half a login", `printf '{"Username":"carl","Secret":"${SECRET}'`, [/^what docker-credential-one says is no login/]],
  ])("that %s keeps nobody from what is for anybody, and is named where it matters", async (_, script, troubles) => {
    const env = await helper("one", script);
    await put(".docker/config.json", { credsStore: "one" });
    const found = await look("r.example/x", env);
    expect(found).toEqual({ login: null, own: null, troubles: troubles.map((trouble) => expect.stringMatching(trouble) as string) });
    expect(JSON.stringify(found)).not.toContain("s3cr");
  });

  it.each([
    ["without a line's end", `printf '{"Username":"carl","Secret":"${SECRET}"}'`],
    ["with words behind it, also in brackets", `echo '{"Username":"carl","Secret":"${SECRET}"}'; echo 'note: {it ends soon}'`],
    ["in small letters", `echo '{"username":"carl","secret":"${SECRET}"}'`],
    ["with a bracket in another field", `echo '{"ServerURL":"}{\\"","Username":"carl","Secret":"${SECRET}"}'`],
    ["and leaves a program that holds its output", `sleep 1000 & echo '{"Username":"carl","Secret":"${SECRET}"}'; echo $! >left`],
  ])("says a login %s", async (_, script) => {
    const env = await helper("one", `cd ${home}; ${script}`);
    await put(".docker/config.json", { credsStore: "one" });
    expect(await look("r.example/x", env)).toEqual({ login: carl, own: null, troubles: [] });
    const left = await readFile(path.join(home, "left"), "utf8").catch(() => null);
    if (left !== null) process.kill(Number(left));
  });

  it("may know a secret without a name", async () => {
    const env = await helper("one", `echo '{"Secret":"${SECRET}"}'`);
    await put(".docker/config.json", { credsStore: "one" });
    expect((await look("r.example/x", env)).login).toEqual({ kind: "password", user: "", password: SECRET });
  });

  it("is a program's name: what is not installed, or a way to one, is told", async () => {
    await put(".docker/config.json", { credsStore: "desktop.exe", credHelpers: { "r.example": "../../bin/sh" } });
    const { login, troubles } = await look("r.example/x", { PATH: "/usr/bin" });
    expect([login, troubles]).toEqual([
      null,
      [expect.stringContaining("letters, digits and dashes"), expect.stringContaining("docker-credential-desktop.exe is not installed")],
    ]);
  });
});

describe("the login of the environment", () => {
  const me = { XENO_REGISTRY_USER: "me", XENO_REGISTRY_PASSWORD: "p" };
  const at = (name: string, env: NodeJS.ProcessEnv, isNamed = true): Promise<FoundLogin> => {
    const reference = parseReference(name);
    if (!reference) throw new Error(`${name} is no name`);
    return loginFor({ reference, isInsecure: false, isNamed }, systemTimers, { HOME: home, XDG_RUNTIME_DIR: home, ...me, ...env });
  };

  it.each([
    ["r.example/x", "", true, true],
    ["r.example/x", "", false, false],
    ["r.example/x", "r.example", false, true],
    ["r.example/x", "https://r.example/v2/", false, true],
    ["r.example:5000/x", "r.example", true, false],
    ["evil.example/x", "r.example", true, false],
    ["r.example.evil.example/x", "r.example", true, false],
    ["evil.example/x", "r.example,evil.example", true, false],
    ["docker.io/me/x", "docker.io", true, true],
    ["me/x", "registry-1.docker.io", false, true],
  ])("for %s with XENO_REGISTRY=%s, in the image's own name: %s", async (name, named, isNamed, isShown) => {
    const { login, troubles } = await at(name, named === "" ? {} : { XENO_REGISTRY: named }, isNamed);
    expect(login !== null).toBe(isShown);
    expect(troubles.length > 0).toBe(!isShown);
  });

  it("gives way to a file's where it is for another registry", async () => {
    await put(".docker/config.json", { auths: { "r.example": auth("carl") } });
    expect((await at("r.example/x", { XENO_REGISTRY: "other.example" })).login).toEqual(carl);
  });

  it("is shown where the registry has people log in only if that place is named with it, or is Docker Hub's", async () => {
    const shown = async (name: string, named: string, host: string): Promise<boolean | undefined> =>
      (await at(name, { XENO_REGISTRY: named })).own?.mayBeShownTo(host);
    expect(await shown("r.example/x", "r.example", "r.example")).toBe(true);
    expect(await shown("r.example/x", "r.example", "auth.evil.example")).toBe(false);
    expect(await shown("r.example/x", "r.example,auth.example", "auth.example")).toBe(true);
    expect(await shown("docker.io/x/y", "docker.io", "auth.docker.io")).toBe(true);
    expect(await shown("r.example/x", "r.example", "auth.docker.io")).toBe(false);
  });
});
