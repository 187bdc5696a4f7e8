import { randomBytes } from "node:crypto";
import { channelMessage } from "@xenoservers/protocol/link";
import type { MarketClient } from "@xenoservers/sdk";
import { HostileLink, frame } from "../hostile-link.ts";
import { ownServer } from "../own-server.ts";
import { household, many, stranger, type Row } from "../row.ts";

const CHANNELS = 20;
const BYTES = 60_000;
const DIGEST = "ab".repeat(32);

async function lease(of: MarketClient, server: string): Promise<string> {
  const { party, account } = of.identity;
  const { timings, feeBasisPoints: feeBasisPointsMax } = await of.market();
  const answer = await of.act("order", {
    ...{ party, account, batch: null, clientId: of.newId(), jobHash: DIGEST, segment: false, judges: null, driver: "wasm", accel: "any" },
    ...{ egress: "none", egressMibMax: 0, resources: { vcpu: 1, memoryMib: 64, diskMib: 1 }, assurance: "isolated", terms: "by-interval" },
    ...{ conditions: [{ key: "server", op: "=", value: server }], on: "market", maxPriceNanosPerHour: null, durationMsMax: 60_000 },
    ...{ fuelMax: "1000000000000", budgetNanos: "0", replicas: 1, expiresAt: of.brokerNow() + 60_000, label: "", feeBasisPointsMax },
    ...{ timings, channelKey: DIGEST, auditSalt: DIGEST },
  });
  return String(answer["lease"]);
}

export const deafCustomer: Row = {
  says: "a lease with itself at price 0: channel bytes to a socket that does not read",
  async play(url) {
    const one = await stranger(url);
    const server = await ownServer(one, [one.identity.party]);
    const serverLink = await (await HostileLink.open(url, household(0))).login(server.machine);
    const deaf = await many(CHANNELS, async () => {
      const link = await (await HostileLink.open(url, household(1))).login(one);
      const session = randomBytes(16).toString("hex");
      link.socket.write(frame({ t: "channel-open", lease: await lease(one, server.id), session }));
      await serverLink.hears("channel-open");
      link.deafen();
      return session;
    });
    let turn = 0;
    void serverLink.pour(() => frame(channelMessage(deaf[turn++ % deaf.length]!, new Uint8Array(BYTES))));
    return { links: CHANNELS + 1 };
  },
};
