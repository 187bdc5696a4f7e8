/** What an operator may write in xenocorp.toml, what is said of the rest, and what a running broker takes over. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { LIVE_KEYS, SETTINGS_KEYS, openBrokerSettings } from "./broker-settings.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-settings-"));
  file = path.join(folder, "xenocorp.toml");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function open(toml: string, typed = {}) {
  await writeFile(file, toml);
  return openBrokerSettings(file, typed);
}

it.each([
  ["port = 65536", "port: 65536: write a port from 0 to 65535; 0 is any free one"],
  ['port = "7400"', 'port: "7400": write a port'],
  ['host = "a b"', 'host: "a b": write an address or a name to listen on'],
  ['memory = "256"', 'memory: "256": write a size with its unit, such as "256M" or "1G"'],
  ["memory = 256", "memory: 256: write a size with its unit"],
  ['memory = "0M"', 'memory: "0M": write a size'],
  ['keep_events = "59m"', 'keep_events: "59m": it is too short: at least "1h"'],
  ['keep_answers = "30"', 'keep_answers: "30": write a duration with its unit, such as "30d" or "12h"'],
  ['archive_after = "23h"', 'archive_after: "23h": it is too short: at least "1d"'],
  ['trust_proxy = ["10.0.0.0/33"]', '"10.0.0.0/33" is no address and no subnet of a proxy'],
  ['trust_proxy = "10.0.0.7"', 'trust_proxy: "10.0.0.7": write a list of addresses or subnets'],
  ['pages = "https://app.example"', 'pages: "https://app.example": write a list of origins of web pages'],
  ['pages = ["https://app.example/"]', "write a list of origins of web pages"],
  ['pages = ["app.example"]', "write a list of origins of web pages"],
  ['pages = ["null"]', "write a list of origins of web pages"],
  ['dashboard = "no"', 'dashboard: "no": write true or false'],
  ['inner = "10.0.0.5"', 'inner: "10.0.0.5": write an address and a port, such as "10.0.0.5:7401"'],
  ['inner_as = "b:70000"', 'inner_as: "b:70000": write an address and a port'],
  ['nats = "nats://u:secret@10.0.0.5:4222"', "write an address and a port"],
  ['nats_credentials = ""', 'nats_credentials: "": write the path of a file'],
  ["nats_ca = 1", "nats_ca: 1: write the path of a file"],
  ['nats_ca = "ca.pem"', "nats_credentials and nats_ca are for a NATS server, and nats names none"],
  ['name = "a/b"', 'name: "a/b": write a name'],
  ['archive = ""', 'archive: "": write the path of a folder'],
  ['log_level = "loud"', 'log_level: "loud": write one of fatal, error, warn, info, debug, trace, silent'],
  ['keep_event = "30d"', "keep_event: there is no such key; is keep_events meant?"],
  ["[keep]\nevents = 1", "keep: there is no such key"],
  ["port = ", "is not TOML"],
  ['port = 1\nname = "a"\nport = 2\n', /is not TOML: line 3 cannot be read: port = 2; a line is .*, and a key stands once$/],
])("%s is refused: %s", async (toml, says) => {
  await expect(open(toml)).rejects.toThrow(says);
  await expect(open(toml)).rejects.toThrow(file);
});

it.each([
  [{ trust_proxy: ["nginx"] }, '--trust-proxy nginx: "nginx" is no address and no subnet of a proxy'],
  [{ pages: ["app.example"] }, "--page app.example: write a list of origins of web pages"],
  [{ name: "my market" }, "--name my market: write a name of at most 64 letters"],
  [{ host: "a b" }, "--host a b: write an address or a name to listen on"],
  [{ metrics_host: "" }, "--metrics-host : write an address or a name to listen on"],
])("what is typed is read by the same rule: %j", async (typed, says) => {
  await expect(open("", typed)).rejects.toThrow(says);
});

it("has a default for everything, what stands in the file before it, and what was typed before that", async () => {
  expect((await open("")).now).toEqual({
    ...{ host: "127.0.0.1", port: 7400, metrics_host: "127.0.0.1", trust_proxy: [], pages: [], memory: 256 },
    ...{ inner: { host: "127.0.0.1", port: 0 }, keep_events: 30 * 86_400_000, keep_answers: 7 * 86_400_000 },
    ...{ archive_after: 90 * 86_400_000, dashboard: true, log_level: "info" },
  });
  const toml =
    'port = 1\nhost = "::1"\ninner = "[fd00::1]:7401"\nmemory = "1.5G"\narchive = "old"\nnats = "n:4222"\nnats_credentials = "nats.nk"\ntrust_proxy = ["fd00::/8"]';
  expect((await open(toml, { port: 2 })).now).toMatchObject({
    ...{ port: 2, host: "::1", inner: { host: "fd00::1", port: 7401 }, memory: 1536, trust_proxy: ["fd00::/8"] },
    ...{ archive: path.join(folder, "old"), nats_credentials: path.join(folder, "nats.nk") },
  });
  await rm(file);
  expect((await openBrokerSettings(file, {})).now.port).toBe(7400);
});

/** Another value than the default for every key that there is. */
const OTHER: Readonly<Record<string, string>> = {
  ...{ name: '"m"', host: '"::1"', port: "1", metrics_port: "1", metrics_host: '"::1"', trust_proxy: '["10.0.0.7"]', memory: '"1G"' },
  ...{ inner: '"10.0.0.5:1"', inner_as: '"b:1"', keep_events: '"2h"', keep_answers: '"2h"', archive: '"a"', archive_after: '"2d"' },
  ...{
    pages: '["https://a.example:8443", "*"]',
    dashboard: "false",
    log_level: '"debug"',
    nats: '"10.0.0.5:4222"',
    nats_credentials: '"n"',
    nats_ca: '"c"',
  },
};

/** What has to stand in the file beside a key. */
const OTHER_NEEDS: Readonly<Record<string, string>> = { nats_credentials: 'nats = "n:1"\n', nats_ca: 'nats = "n:1"\n' };

it("knows of every key whether it takes effect at once or at the next start, and names it", async () => {
  expect(Object.keys(OTHER).toSorted()).toEqual(SETTINGS_KEYS.toSorted());
  for (const [key, value] of Object.entries(OTHER)) {
    const settings = await open(OTHER_NEEDS[key] ?? "");
    const before = settings.now;
    await writeFile(file, `${OTHER_NEEDS[key] ?? ""}${key} = ${value}\n`);
    const isLive = LIVE_KEYS.some((each) => each === key);
    expect([key, await settings.reread()]).toEqual([key, isLive ? { changed: [key], later: [] } : { changed: [], later: [key] }]);
    expect([key, settings.now !== before && JSON.stringify(settings.now) !== JSON.stringify(before)]).toEqual([key, isLive]);
  }
});

it("changes nothing where the file is wrong or gone, or says again what was typed", async () => {
  const settings = await open('keep_events = "2h"', { keep_answers: 5 });
  await writeFile(file, 'keep_events = "2 hours"\n');
  await expect(settings.reread()).rejects.toThrow('keep_events: "2 hours"');
  await writeFile(file, 'keep_events = "2h"\nkeep_answers = "9d"\n');
  expect(await settings.reread()).toEqual({ changed: [], later: [] });
  await rm(file);
  await expect(settings.reread()).rejects.toThrow("is not there: an empty one has all defaults; nothing has changed");
  expect(settings.now).toMatchObject({ keep_events: 7_200_000, keep_answers: 5 });
});
