/** Hints by NATS: the contract of hints against Debian's nats-server, what strangers on it can do, and what the server is shown. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { nkeys } from "@nats-io/transport-node";
import type { Hints } from "../../packages/xenocorp/src/hints/hints.ts";
import { HINT_PAUSE_MS } from "../../packages/xenocorp/src/hints/hints.ts";
import { HandTimers } from "../../packages/xenocorp/src/hints/hand-timers.fixture.ts";
import { openNatsHints, subjectOf, type NatsPlace } from "../../packages/xenocorp/src/hints/nats-hints.ts";
import { hintsContract } from "../support/hints-contract.ts";
import { until } from "../until.ts";
import { NatsServer, missing, stranger } from "./nats-server.ts";

if (missing.length > 0) console.warn(`SKIPPED: hints by NATS, for ${missing.join(", ")} are not installed`);

const ORIGIN = "market.example/0123456789ab";
const failures: unknown[] = [];
const failed = (error: unknown): void => void failures.push(error);
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  failures.length = 0;
});

async function served(config?: string, prepare?: (folder: string) => Promise<void>): Promise<NatsServer> {
  const server = await NatsServer.start(config, prepare);
  closing.push(() => server.close());
  return server;
}
async function hintsAt(place: NatsPlace, timers?: HandTimers, origin = ORIGIN): Promise<Hints> {
  const hints = await openNatsHints(place, { origin, failed, ...(timers ? { timers } : {}) });
  closing.push(() => hints.close());
  return hints;
}
const unheard = (): void => {};

/** Whether a hint of one broker reaches another that was opened the same way. */
async function carries(place: NatsPlace): Promise<void> {
  const [here, there] = [await hintsAt(place), await hintsAt(place)];
  let heard = 0;
  await there.listen("notes", () => void heard++, unheard);
  here.hint("notes");
  await until(() => heard > 0);
}

describe.skipIf(missing.length > 0)("NATS", () => {
  describe("as any carrier", () => {
    let server: NatsServer;
    beforeAll(async () => {
      server = await NatsServer.start();
    });
    afterAll(() => server.close());
    hintsContract(() => ({
      open: (market, timers) => openNatsHints(server.place, { origin: `${market}/0123456789ab`, failed, ...(timers ? { timers } : {}) }),
      async cut() {
        await server.kill();
        await server.again();
      },
      async away() {
        await server.kill();
        const hints = await openNatsHints(server.place, { origin: ORIGIN, failed });
        const close = hints.close.bind(hints);
        return Object.assign(hints, { close: () => close().then(() => server.again()) });
      },
    }));
  });

  describe("with strangers on it", () => {
    let server: NatsServer;
    beforeEach(async () => {
      server = await served();
    });

    it("gives a broker one message of a flood in a pause, whatever is in it, and the next after it", async () => {
      const timers = new HandTimers();
      const hints = await hintsAt(server.place, timers);
      const flooder = await stranger(server.place);
      closing.push(flooder.close);
      let [heard, events] = [0, 0];
      await hints.listen("notes", () => void heard++, expect.unreachable);
      await hints.listen("events", () => void events++, expect.unreachable);
      const flood = async (): Promise<void> => {
        await flooder.publish(subjectOf(ORIGIN, "notes"), "x".repeat(1_000), 5_000);
        // what is delivered of the flood is delivered before this
        const before = events;
        await flooder.publish(subjectOf(ORIGIN, "events"), "", 1);
        await until(() => events > before);
      };
      await flood();
      expect(heard).toBe(1);
      timers.fire(HINT_PAUSE_MS);
      await until(() => heard >= 2 && events >= 2);
      const rested = heard;
      await flood();
      expect(heard - rested).toBeLessThanOrEqual(2);
    });

    it("hears nothing of other subjects, and says nothing but that there is something", async () => {
      const hints = await hintsAt(server.place);
      const eavesdropper = await stranger(server.place);
      closing.push(eavesdropper.close);
      await eavesdropper.subscribe(">");
      hints.hint("notes");
      await until(() => eavesdropper.messages().length > 0);
      expect(eavesdropper.messages()).toEqual(["MSG xeno.market_example_0123456789ab.notes 1 0"]);
    });
  });

  it("that hangs keeps nobody waiting, and is heard when it goes on; one that never does is given up", async () => {
    const server = await served();
    const [here, there] = [await hintsAt(server.place), await hintsAt(server.place)];
    let [heard, lost] = [0, 0];
    await there.listen(
      "notes",
      () => void heard++,
      () => void lost++,
    );
    here.hint("notes");
    await until(() => heard > 0);
    const before = heard;
    server.signal("SIGSTOP");
    for (let i = 0; i < 10_000; i++) here.hint("notes");
    server.signal("SIGCONT");
    await until(() => heard > before);
    server.signal("SIGSTOP");
    await until(() => lost === 1);
    server.signal("SIGCONT");
  });

  it("that dies in a storm fails nobody", async () => {
    const server = await served();
    const [here, there] = [await hintsAt(server.place), await hintsAt(server.place)];
    let lost = 0;
    for (const channel of ["notes", "events"] as const) await there.listen(channel, unheard, () => void lost++);
    for (const hints of [here, there]) for (const channel of ["notes", "events"] as const) hints.hint(channel);
    server.signal("SIGSTOP");
    for (const hints of [here, there]) for (const channel of ["notes", "events"] as const) hints.hint(channel);
    await server.kill();
    await until(() => lost === 2);
    for (const hints of [here, there]) hints.hint("notes");
  });

  it("that takes a connection and says nothing is given up, and closing does not wait for it", async () => {
    const mute = createServer(() => {}).listen(0, "127.0.0.1");
    await once(mute, "listening");
    const sockets = new Set<Socket>();
    mute.on("connection", (socket) => sockets.add(socket));
    closing.push(() => {
      for (const socket of sockets) socket.destroy();
      mute.close();
    });
    const place = { host: "127.0.0.1", port: (mute.address() as AddressInfo).port };
    const [patient, closed] = [await hintsAt(place), await hintsAt(place)];
    const never = closed.listen("notes", unheard, unheard).catch((error: Error) => error);
    await closed.close();
    await expect(patient.listen("notes", unheard, unheard)).rejects.toThrow(/timeout/i);
    expect(await never).toBeInstanceOf(Error);
  });

  describe("that asks who comes", () => {
    const seed = new TextDecoder().decode(nkeys.createUser().getSeed());
    const key = nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey();
    const PASSWORD = "a-secret-of-the-operator";
    const config = `authorization { users: [{ nkey: ${key} }, { user: xeno, password: "${PASSWORD}" }] }`;
    const secretFile = async ({ folder }: NatsServer, content: string, mode = 0o600): Promise<string> => {
      const file = path.join(folder, "credentials");
      await writeFile(file, content);
      await chmod(file, mode);
      return file;
    };

    it.each([
      ["an nkey", `${seed}\n`],
      ["a password", `xeno:${PASSWORD}\n`],
    ])("is shown %s", async (_, content) => {
      const server = await served(config);
      await carries({ ...server.place, credentials: await secretFile(server, content) });
    });

    it.each([
      ["nothing", null],
      ["a wrong password", "xeno:guessed"],
    ])("lets nobody in who shows %s, and no word of what was shown is said", async (_, content) => {
      const server = await served(config);
      const hints = await hintsAt({ ...server.place, ...(content === null ? {} : { credentials: await secretFile(server, content) }) });
      const refusal = await hints.listen("notes", unheard, unheard).catch((error: Error) => error);
      expect(String(refusal)).toMatch(/authorization/i);
      expect(String(refusal)).not.toContain("guessed");
    });

    it("is told by a broker that may not listen or tell there", async () => {
      const permissions = '{ publish: "a", subscribe: "b" }';
      const server = await served(`authorization { users: [{ user: xeno, password: "${PASSWORD}", permissions: ${permissions} }] }`);
      const hints = await hintsAt({ ...server.place, credentials: await secretFile(server, `xeno:${PASSWORD}`) });
      await expect(hints.listen("notes", unheard, unheard)).rejects.toThrow(/permission/i);
      failures.length = 0;
      hints.hint("notes");
      await until(() => failures.some((error) => /publish/i.test(String(error))));
    });

    it.each([
      ["others may read", `xeno:${PASSWORD}`, 0o640, /others may read .*chmod 600/],
      ["holds something else", `${PASSWORD} ${PASSWORD}`, 0o600, /holds no credentials/],
    ])("is shown nothing from a file that %s, and no word of it is said", async (_, content, mode, says) => {
      const server = await served(config);
      const credentials = await secretFile(server, content, mode);
      const refusal = await openNatsHints({ ...server.place, credentials }, { origin: ORIGIN, failed }).catch((error: Error) => error);
      expect(String(refusal)).toMatch(says);
      expect(String(refusal)).not.toContain(PASSWORD);
    });
  });

  it("is spoken with by TLS where an authority is named, and by nothing else then", async () => {
    const certificate = async (folder: string): Promise<void> => {
      const names = ["-subj", "/CN=nats", "-addext", "subjectAltName=IP:127.0.0.1"];
      const made = ["-keyout", path.join(folder, "key.pem"), "-out", path.join(folder, "cert.pem")];
      const { status, stderr } = spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...names, ...made]);
      if (status !== 0) throw new Error(String(stderr));
    };
    const secure = await served('tls { cert_file: "FOLDER/cert.pem", key_file: "FOLDER/key.pem" }', certificate);
    const plain = await served();
    const caFile = path.join(secure.folder, "cert.pem");
    await carries({ ...secure.place, caFile });
    for (const place of [secure.place, { ...plain.place, caFile }])
      await expect((await hintsAt(place)).listen("notes", unheard, unheard)).rejects.toThrow(/certificate|tls/i);
  });
});
