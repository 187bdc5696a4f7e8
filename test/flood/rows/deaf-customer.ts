import { randomBytes } from "node:crypto";
import { channelMessage } from "@xenoservers/protocol/link";
import { HostileLink, frame } from "../hostile-link.ts";
import { leaseOn, ownServer } from "../own-server.ts";
import { household, many, stranger, type Row } from "../row.ts";

const CHANNELS = 20;
const BYTES = 60_000;

export const deafCustomer: Row = {
  says: "a lease with itself at price 0: channel bytes to a socket that does not read",
  async play(url) {
    const one = await stranger(url);
    const server = await ownServer(one, [one.identity.party]);
    const serverLink = await (await HostileLink.open(url, household(0))).login(server.machine);
    const deaf = await many(CHANNELS, async () => {
      const link = await (await HostileLink.open(url, household(1))).login(one);
      const session = randomBytes(16).toString("hex");
      link.socket.write(frame({ t: "channel-open", lease: await leaseOn(one, server.id), session }));
      await serverLink.hears("channel-open");
      link.deafen();
      return session;
    });
    let turn = 0;
    void serverLink.pour(() => frame(channelMessage(deaf[turn++ % deaf.length]!, new Uint8Array(BYTES))));
    return { links: CHANNELS + 1 };
  },
};
