/** Settings of container engines, and the login of the environment, against registries of this process: who is asked, and who sees what. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openImage, type OciImage } from "@xenoservers/sdk";
import { patientTimers } from "./fetched.ts";
import { startProxy, testImage, upstreamOf, type Proxy, type Trick } from "./proxy.ts";

const image = testImage();
const SECRET = "hunter2-of-the-environment";
const shownTo = ({ log }: Proxy): string[] =>
  log.flatMap(({ authorization, host }) =>
    authorization === undefined ? [] : [`${host} ${Buffer.from(authorization.slice(6), "base64").toString()}`],
  );

let folder: string;
let open: Proxy[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-settings-"));
  await writeFile(path.join(folder, "logins.json"), "{}");
  vi.stubEnv("REGISTRY_AUTH_FILE", path.join(folder, "logins.json"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const proxy of open) await proxy.close();
  open = [];
  await rm(folder, { recursive: true, force: true });
});

async function registry(trick: (proxy: Proxy) => Trick): Promise<Proxy> {
  const proxy = await startProxy(upstreamOf(image), trick);
  open.push(proxy);
  return proxy;
}
const honest = (): Promise<Proxy> => registry(() => (asked) => asked.pass());
const closed = (challenge: (proxy: Proxy) => string): Promise<Proxy> =>
  registry((proxy) => (asked) => {
    if (asked.kind === "token") return asked.say(200, {}, JSON.stringify({ token: "given" }));
    const { authorization } = asked.request.headers;
    if (authorization === undefined) asked.say(401, { "www-authenticate": challenge(proxy) });
    else asked.pass();
  });
async function fetched(name: string, conf: string): Promise<{ image: (OciImage & { name: string }) | string; told: string[] }> {
  vi.stubEnv("CONTAINERS_REGISTRIES_CONF", path.join(folder, "registries.conf"));
  await writeFile(path.join(folder, "registries.conf"), conf);
  const told: string[] = [];
  const watch = { onLayer() {}, onWait() {}, onNext: (why: string) => void told.push(why) };
  const came = await openImage(name, path.join(folder, "cache"), watch, patientTimers().timers).catch((error: Error) => error.message);
  return { image: came, told };
}
const mirrored = (place: string, ...mirrors: string[]): string =>
  [`[[registry]]\nlocation = "${place}"`, ...mirrors.map((each) => `[[registry.mirror]]\nlocation = "${each}"`)].join("\n");
function ownLogin(named?: string): void {
  vi.stubEnv("XENO_REGISTRY_USER", "me");
  vi.stubEnv("XENO_REGISTRY_PASSWORD", SECRET);
  if (named !== undefined) vi.stubEnv("XENO_REGISTRY", named);
}

it("takes the first mirror that has the image, and asks nobody behind it", async () => {
  const [empty, mirror, origin] = [
    await registry(
      () =>
        ({ say }) =>
          say(404),
    ),
    await honest(),
    await honest(),
  ];
  const came = await fetched("r.example/box", mirrored("r.example", empty.host, mirror.host, origin.host));
  expect(came.image).toMatchObject({ name: "r.example/box" });
  expect(came.told).toEqual([`${empty.host}/box has no latest`]);
  expect([mirror.log.length > 2, origin.log.length]).toEqual([true, 0]);
});

it("goes on at the next where a mirror gives damaged layers or breaks down half-way", async () => {
  const breaking = await registry(() => (asked) => (asked.kind === "blob" ? asked.say(503) : asked.pass()));
  const origin = await honest();
  const came = await fetched("r.example/box", mirrored("r.example", breaking.host, origin.host));
  expect(came.image).toMatchObject({ name: "r.example/box" });
  for (const digest of image.layers) await readFile(path.join(folder, "cache", digest.slice("sha256:".length)));
});

it("names every place that failed", async () => {
  const [one, two] = [
    await registry(
      () =>
        ({ say }) =>
          say(404),
    ),
    await registry(
      () =>
        ({ say }) =>
          say(404),
    ),
  ];
  const { image: words } = await fetched(
    "r.example/box",
    `[[registry]]\nprefix = "r.example"\nlocation = "${two.host}"\n[[registry.mirror]]\nlocation = "${one.host}"\n`,
  );
  expect(words).toBe(`${one.host}/box has no latest; ${two.host}/box has no latest`);
});

it("asks nobody for what is blocked", async () => {
  const origin = await honest();
  const { image: words } = await fetched(`${origin.host}/box`, `[[registry]]\nlocation = "${origin.host}"\nblocked = true\n`);
  expect(words).toContain("is blocked in ");
  expect(origin.log).toEqual([]);
});

it("shows the environment's password to the registry in the image's name, and to no mirror and no place that settings lead to", async () => {
  ownLogin();
  const named = await closed(() => 'Basic realm="r"');
  expect((await fetched(`${named.host}/box`, "")).image).toMatchObject({ layers: expect.any(Array) });
  expect(new Set(shownTo(named))).toEqual(new Set([`${named.host} me:${SECRET}`]));
  const greedy = await closed(() => 'Basic realm="r"');
  const { image: words } = await fetched("r.example/box", `[[registry]]\nprefix = "r.example"\nlocation = "${greedy.host}"\n`);
  expect(words).toContain("XENO_REGISTRY_PASSWORD is for the registry in an image's name, and was not shown");
  expect(words).not.toContain(SECRET);
  expect(shownTo(greedy)).toEqual([]);
});

// moby 42022 and 30880: a login of the registry was shown to its mirrors, and mirrors' own logins to nobody
it("shows a mirror the login that is kept for the mirror, and never that of the registry that it mirrors", async () => {
  const mirror = await closed(() => 'Basic realm="r"');
  const conf = mirrored("r.example", mirror.host);
  const kept = (host: string, user: string): Promise<void> =>
    writeFile(
      path.join(folder, "logins.json"),
      JSON.stringify({ auths: { [host]: { auth: Buffer.from(`${user}:${SECRET}`).toString("base64") } } }),
    );
  await kept("r.example", "upstream");
  expect((await fetched("r.example/box", conf)).told).toEqual([expect.stringContaining(`${mirror.host}/box is not there, or not for you`)]);
  expect(shownTo(mirror)).toEqual([]);
  await kept(mirror.host, "mirrors");
  expect((await fetched("r.example/box", conf)).image).toMatchObject({ name: "r.example/box" });
  expect(new Set(shownTo(mirror))).toEqual(new Set([`${mirror.host} mirrors:${SECRET}`]));
});

it("shows it to no registry but the one that XENO_REGISTRY names", async () => {
  const [greedy, named] = [await closed(() => 'Basic realm="r"'), await closed(() => 'Basic realm="r"')];
  ownLogin(named.host);
  expect((await fetched(`${greedy.host}/box`, "")).image).toContain(`XENO_REGISTRY_PASSWORD is for ${named.host}, and was not shown`);
  expect(shownTo(greedy)).toEqual([]);
  expect((await fetched(`${named.host}/box`, "")).image).toMatchObject({ layers: expect.any(Array) });
});

it("shows it at no foreign place that the registry has people log in at, unless that is named with it; anybody's token is taken", async () => {
  const foreign = await closed(({ elsewhere }) => `Bearer realm="http://${elsewhere}/token"`);
  ownLogin(foreign.host);
  expect((await fetched(`${foreign.host}/box`, "")).image).toMatchObject({ layers: expect.any(Array) });
  const seen = foreign.log.filter(({ authorization }) => authorization !== undefined && !authorization.startsWith("Bearer "));
  expect([seen, foreign.log.filter(({ kind }) => kind === "token").length > 0]).toEqual([[], true]);
  await rm(path.join(folder, "cache"), { recursive: true });
  ownLogin(`${foreign.host},${foreign.elsewhere}`);
  expect((await fetched(`${foreign.host}/box`, "")).image).toMatchObject({ layers: expect.any(Array) });
  expect(shownTo(foreign).filter((each) => each.includes(SECRET))).toEqual([`${foreign.elsewhere} me:${SECRET}`]);
});

it("takes a registry without encryption where settings call it insecure, and only there", async () => {
  const plain = await honest();
  const host = plain.host.replace("127.0.0.1", "0.0.0.0");
  expect((await fetched(`${host}/box`, `[[registry]]\nlocation = "${host}"\ninsecure = true\n`)).image).toMatchObject({
    name: `${host}/box`,
  });
  const before = plain.log.length;
  await rm(path.join(folder, "cache"), { recursive: true });
  expect((await fetched(`${host}/box`, "")).image).toMatch(/cannot be reached/);
  expect(plain.log.length).toBe(before);
});

it("finds a registry of this machine by its IPv6 address", async () => {
  const upstream = upstreamOf(image);
  const server = createServer(async (request, response) => {
    const { status, type, bytes } = await upstream(request.url ?? "");
    response.writeHead(status, { "content-type": type }).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  try {
    const address = server.address();
    const name = `[::1]:${typeof address === "object" && address ? address.port : 0}/box`;
    expect((await fetched(name, "")).image).toMatchObject({ name });
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});
