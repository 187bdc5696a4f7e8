/** The inner port: who has the market's key comes in, and one who reads slowly stops who sends instead of filling a broker's memory. */
import { randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { afterEach, expect, it } from "vitest";
import { connect as connectPlain } from "node:net";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { channelMessage, systemTimers, type FromBroker } from "@xenoservers/protocol/link";
import { until } from "../../../../test/until.ts";
import { Channels, type ChannelEnd } from "../http/channels.ts";
import { FarEnd } from "./far-end.ts";
import { dialInner, innerKey, openInnerDoor, type InnerDoor } from "./inner-link.ts";

const KEY = innerKey(nodeCrypto, randomBytes(32));
const HERE = { host: "127.0.0.1", port: 0 };
const SESSION = "5e".repeat(16);
const LEASE = "1e".repeat(32);
const ASKED = { lease: LEASE, session: SESSION };
const take = () => () => {};

let door: InnerDoor;
afterEach(() => door.close());

it("opens to whoever has the market's key, and to nobody else", async () => {
  const accepted: TLSSocket[] = [];
  door = await openInnerDoor(KEY, HERE, (socket) => void accepted.push(socket.on("error", () => {})));
  await expect(dialInner(innerKey(nodeCrypto, randomBytes(32)), door.address)).rejects.toThrow();
  const plain = connectPlain({ host: "127.0.0.1", port: Number(new URL(`tls://${door.address}`).port) });
  const closed = new Promise((resolve) => plain.once("close", resolve));
  plain.on("error", () => {});
  plain.end(Buffer.alloc(200, 1));
  await closed;
  expect(accepted).toEqual([]);
  const socket = await dialInner(KEY, door.address);
  await until(() => accepted.length === 1);
  socket.destroy();
});

it("says where it cannot listen", async () => {
  door = await openInnerDoor(KEY, HERE, () => {});
  const { port } = new URL(`tls://${door.address}`);
  await expect(openInnerDoor(KEY, { ...HERE, port: Number(port) }, () => {})).rejects.toThrow("choose another with --inner");
});

/** The end of a link, with all that it was sent. */
class Near implements ChannelEnd {
  open = true;
  isFull = false;
  unreadBytes = 0;
  channelsOpening = 0;
  readonly channels = new Set<string>();
  readonly told: FromBroker[] = [];
  readonly bytes: Uint8Array[] = [];
  tell(message: FromBroker): void {
    this.told.push(message);
  }
  pass(bytes: Uint8Array): void {
    this.bytes.push(bytes);
  }
}

/** A customer at one broker, a server at another, and a channel between them. */
async function acrossBrokers() {
  const [customer, server] = [new Near(), new Near()];
  const [here, there] = [new Channels(), new Channels()];
  door = await openInnerDoor(KEY, HERE, (stream) => {
    void new FarEnd(stream, {
      ...{ channels: there, timers: systemTimers, server: "" },
      opened: (end, { lease, session, server: asked }) => {
        end.faces(server);
        void there.open(end, { lease, session }, { find: async () => (asked === "s_1" ? server : "no such server"), take });
      },
    });
  });
  const dial = async (to: string) => {
    const end = new FarEnd(await dialInner(KEY, door.address), { channels: here, timers: systemTimers, server: to, opened() {} });
    end.faces(customer);
    return end;
  };
  return { customer, server, here, there, dial };
}

it("carries a channel both ways, and its end with the reason", async () => {
  const { customer, server, here, there, dial } = await acrossBrokers();
  await here.open(customer, ASKED, { find: () => dial("s_1"), take });
  here.relay(customer, channelMessage(SESSION, Uint8Array.of(1, 2)));
  await until(() => server.bytes.length === 1);
  expect(server.told).toEqual([{ t: "channel-open", lease: LEASE, session: SESSION }]);
  there.relay(server, channelMessage(SESSION, Uint8Array.of(3)));
  await until(() => customer.bytes.length === 1);
  expect([server.bytes, customer.bytes]).toEqual([
    [channelMessage(SESSION, Uint8Array.of(1, 2))],
    [channelMessage(SESSION, Uint8Array.of(3))],
  ]);
  there.close(SESSION, server, "done");
  await until(() => customer.told.length === 1);
  expect(customer.told).toEqual([{ t: "channel-close", session: SESSION, why: "done" }]);
  expect([here.size, there.size]).toEqual([0, 0]);
});

it("says why there is no channel, and ends one whose customer or broker has gone", async () => {
  const { customer, server, here, there, dial } = await acrossBrokers();
  await here.open(customer, ASKED, { find: () => dial("s_2"), take });
  await until(() => customer.told.length === 1);
  expect(customer.told).toEqual([{ t: "channel-close", session: SESSION, why: "no such server" }]);
  await here.open(customer, ASKED, { find: () => dial("s_1"), take });
  await until(() => there.size === 1);
  here.gone(customer);
  await until(() => there.size === 0);
  expect(server.told.at(-1)).toMatchObject({ t: "channel-close", session: SESSION });
  await here.open(customer, ASKED, { find: () => dial("s_1"), take });
  await until(() => there.size === 1);
  await door.close();
  await until(() => here.size === 0 && there.size === 0);
  expect(customer.told.at(-1)).toMatchObject({ t: "channel-close", session: SESSION, why: "the other end went away" });
});

it("reads no more from another broker while its own end does not read", async () => {
  const { customer, server, here, there, dial } = await acrossBrokers();
  await here.open(customer, ASKED, { find: () => dial("s_1"), take });
  here.relay(customer, channelMessage(SESSION, new Uint8Array(1)));
  await until(() => server.bytes.length === 1);
  server.unreadBytes = 2 * 1024 * 1024;
  const piece = channelMessage(SESSION, new Uint8Array(60_000));
  let sent = 0;
  // the sockets between take what they take; then the sender has what is not read
  for (; here.size === 1 && sent < 2_000; sent++) here.relay(customer, piece);
  expect(customer.told).toEqual([{ t: "channel-close", session: SESSION, why: "the other end does not read" }]);
  expect(server.bytes.length).toBeLessThan(sent / 2);
  server.unreadBytes = 0;
  await until(() => there.size === 0);
});
