/**
 * What goes wrong on a machine, as the programs of operators, owners and customers say it: cause and next step in words, never a stack, the
 * exit code that is documented; and nothing half written stays. Real processes on a real disk that is full.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { formatEnrolToken } from "@xenoservers/protocol";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cases } from "../thorough.ts";

const CLI = path.resolve("packages/cli/bin/xeno.js");
const isRoot = process.getuid?.() === 0;
/** Of a user that owns nothing. */
const NOBODY = isRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];

let folder: string;
let listening: Server;
let port: number;
const at = (...names: string[]): string => path.join(folder, ...names);

interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

const run = (words: readonly string[], home: string): Promise<Said> =>
  new Promise((resolve) => {
    const [program = "", ...args] = words;
    execFile(program, args, { env: { ...process.env, XENO_HOME: home, DATABASE_URL: undefined } }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
const xeno = (...args: string[]): string[] => [process.execPath, "--disable-warning=ExperimentalWarning", CLI, ...args];

/** What a person can use: the cause on the first line, what to do on the last, nothing of our code. */
function expectWords({ code, stdout, stderr }: Said, cause: RegExp, next: RegExp): void {
  expect(stderr).not.toMatch(/^ +at /m);
  expect(stderr).not.toContain("fault of xeno itself");
  expect(stderr).toMatch(cause);
  expect(stderr).toMatch(next);
  expect([code, stdout]).toEqual([125, ""]);
}

const market = new PaperMarket(new Random(1));
const contexts = {
  current: "m",
  contexts: {
    m: {
      ...{
        url: "http://127.0.0.1:1",
        pins: market.pins,
        currency: "credits",
        party: `p_${"a".repeat(40)}`,
        account: `a_${"a".repeat(40)}`,
      },
      ...{ role: "root", scopes: [...ROLE_SCOPES.root], label: "me", leaseLabel: null, seed: "5".repeat(64) },
    },
  },
};
const identity = {
  ...{ url: "http://127.0.0.1:1", pins: market.pins, owner: `p_${"a".repeat(40)}` },
  ...{ seed: "6".repeat(64), channelSecret: "7".repeat(64) },
};
const token = (): string =>
  formatEnrolToken({ url: "http://127.0.0.1:1", pins: market.pins, party: identity.owner, seed: randomBytes(32).toString("hex") });

/** A home with keys, and a server's folder that is enrolled. */
async function kept(name: string): Promise<{ home: string; server: string }> {
  const [home, server] = [at(name, "home"), at(name, "server")];
  for (const each of [path.join(home, "config"), server]) await mkdir(each, { recursive: true });
  await writeFile(path.join(home, "config/contexts.json"), JSON.stringify(contexts));
  await writeFile(path.join(server, "server-identity.json"), JSON.stringify(identity));
  return { home, server };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-failures-"));
  await chmod(folder, 0o755);
  listening = createServer();
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  ({ port } = listening.address() as AddressInfo);
});
afterAll(async () => {
  listening.close();
  await rm(folder, { recursive: true, force: true });
});

describe("a full disk", () => {
  /** Runs where all of a disk is taken; what is on it afterwards comes last on stdout, a name each line. */
  const onFull = (before: string, ...args: string[]): string[] => {
    const script =
      'mount -t tmpfs -o size=64k tmpfs "$1"; cd "$1"; eval "$2"; cat /dev/zero > fill 2>/dev/null; shift 2; ' +
      '"$@" > /dev/null; code=$?; find . -type f ! -name fill | sort; exit $code';
    const unshare = ["unshare", "--mount", ...(isRoot ? [] : ["--user", "--map-root-user"])];
    return [...unshare, "sh", "-c", script, "sh", at("disk"), before, ...args];
  };
  const NO_ROOM = /ENOSPC|No space left on device|there is no room on its disk/i;
  const FREE_SOME = /(there is no room left: free some, or use|mend that, or name) another folder \(--data, XENO_HOME\)\n$/;
  const identityThere = `mkdir s; printf '%s' '${JSON.stringify(identity)}' > s/server-identity.json`;

  beforeAll(() => mkdir(at("disk")));

  it.each<[string, string, string[], string]>([
    ["a broker", "", ["broker", "--data", "b", "--port", "0"], ""],
    ["a server that enrols", "", ["serve", "--data", "s", "--enrol", "TOKEN"], ""],
    ["a server", identityThere, ["serve", "--data", "s"], "./s/server-identity.json\n"],
  ])("of %s", async (_who, before, args, left) => {
    const words = xeno(...args.map((word) => (word === "TOKEN" ? token() : word)));
    const said = await run(onFull(before, ...words), at("elsewhere"));
    expectWords({ ...said, stdout: "" }, NO_ROOM, FREE_SOME);
    expect(said.stdout).toBe(left);
  });

  it("of a customer", async () => {
    const there = `mkdir config; printf '%s' '${JSON.stringify(contexts)}' > config/contexts.json`;
    const said = await run(onFull(there, ...xeno("key", "backup", "./backup.json")), at("disk"));
    expectWords({ ...said, stdout: "" }, NO_ROOM, FREE_SOME);
    expect(said.stdout).toBe("./config/contexts.json\n");
  });
});

describe("what another user owns", () => {
  const DENIED = /EACCES|it may not be written by this user/;
  const WHOSE = /(this user may not do that: look at who owns it, or use|mend that, or name) another folder \(--data(, XENO_HOME)?\)\n$/;

  const verbs: [string, (where: { home: string; server: string }) => string[]][] = [
    ["a broker", ({ home }) => ["broker", "--data", home, "--port", "0"]],
    ["a server", ({ server }) => ["serve", "--data", server]],
    ["leases", () => ["ps"]],
    ["a receipt", ({ home }) => ["verify", path.join(home, "receipt.json")]],
    ["a broker that begins", () => ["broker", "--data", at("closed", "new"), "--port", "0"]],
    ["a server's status", ({ server }) => ["server", "status", "--data", server]],
    ["keys", () => ["key", "backup", "backup.json"]],
    ["a witness", ({ home }) => ["witness", "http://127.0.0.1:1", "--data", home]],
  ];
  it.each(verbs.slice(0, cases(4, verbs.length)))("is said to be: %s", async (_who, verb) => {
    const where = await kept("closed");
    for (const each of [where.home, where.server, at("closed")]) await chmod(each, 0o000);
    try {
      expectWords(await run([...NOBODY, ...xeno(...verb(where))], where.home), DENIED, WHOSE);
    } finally {
      for (const each of [at("closed"), where.home, where.server]) await chmod(each, 0o700);
    }
    expect((await readdir(where.home)).concat(await readdir(where.server))).toEqual(["config", "server-identity.json"]);
  });
});

describe("a port that is in use", () => {
  it("is named with the option that chooses another", async () => {
    const { home, server } = await kept("ports");
    const serve = await run(xeno("serve", "--data", server, "--metrics-port", String(port)), home);
    expectWords(
      serve,
      new RegExp(`no metrics can be had at 127\\.0\\.0\\.1:${port}: another program listens there`),
      /another --metrics-port\n/,
    );
    const broker = await run(xeno("broker", "--data", at("ports/broker"), "--port", String(port)), home);
    expectWords(broker, /EADDRINUSE: address already in use/, /another program listens there: choose another --port, or end that one\n$/);
  });
});

describe("what a newer xeno wrote", () => {
  it.each<[string, string, (where: { home: string; server: string }) => string[], RegExp]>([
    [
      "a broker's keys",
      "broker/broker-keys.json",
      () => ["broker", "backup", at("newer/file"), "--data", at("newer/broker")],
      /as this xeno knows them.*: upgrade/,
    ],
    [
      "a server's identity",
      "server/server-identity.json",
      ({ server }) => ["serve", "--data", server],
      /written by another version of xeno: use that one/,
    ],
    ["a customer's keys", "home/config/contexts.json", () => ["ps"], /written by another version of xeno: use that one/],
  ])("is not read as if it were this one's: %s", async (_what, file, verb, says) => {
    const where = await kept("newer");
    await mkdir(at("newer/broker"), { recursive: true });
    await writeFile(at("newer", file), JSON.stringify({ ...contexts, ...identity, ofLater: 1 }));
    const said = await run(xeno(...verb(where)), where.home);
    expectWords(said, says, says);
  });

  it("nor a database of another PostgreSQL", async () => {
    await mkdir(at("later/postgres"), { recursive: true });
    await writeFile(at("later/postgres/PG_VERSION"), "99\n");
    const said = await run(xeno("broker", "--data", at("later"), "--port", "0"), at("later"));
    expectWords(said, /was made by PostgreSQL 99, this xeno brings 18/, /`xeno broker backup`, and restore that here\n$/);
    expect(await readdir(at("later/postgres"))).toEqual(["PG_VERSION"]);
  });
});
