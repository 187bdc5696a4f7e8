/** A customer's hold on its machine while the server is not reached. */
import { once } from "node:events";
import { Duplex } from "node:stream";
import type { Channel, ChannelHeader } from "@xenoservers/protocol/channel";
import { expect, it } from "vitest";
import { MachineLink } from "./machine-link.ts";

it("joins no connection that has closed while the server was not reached", async () => {
  const sent: ChannelHeader[] = [];
  const channel = { send: async (header: ChannelHeader) => void sent.push(header) } as unknown as Channel;
  let reached: Channel | null = null;
  const slept = Promise.withResolvers<void>();
  const link = new MachineLink(
    () => reached,
    () => slept.promise,
  );
  const streams = [1, 2].map(() => new Duplex({ read() {}, write: (_, __, done) => done() }));
  const opened = streams.map((stream) => link.open(22, stream));
  streams[0]!.destroy();
  await once(streams[0]!, "close");
  reached = channel;
  slept.resolve();
  await Promise.all(opened);
  expect(sent).toEqual([{ t: "open", id: 1, port: 22 }]);
  streams[1]!.destroy();
  await once(streams[1]!, "close");
  expect(sent.slice(1)).toEqual([{ t: "shut", id: 1, why: "" }]);
});
