import { PassThrough } from "node:stream";
import { TUNNEL_WINDOW_BYTES, type Channel, type ChannelHeader } from "@xenoservers/protocol/channel";
import { describe, expect, it } from "vitest";
import { StdinFeed } from "./stdin-feed.ts";

interface Sent {
  offset: number;
  text: string;
  last: boolean;
}

function channelOf(): { channel: Channel; sent: Sent[]; bytes(): number } {
  const sent: Sent[] = [];
  const channel = {
    async send(header: ChannelHeader, body = new Uint8Array(0)) {
      if (header.t === "stdin") sent.push({ offset: header.offset, text: Buffer.from(body).toString(), last: header.last });
    },
  };
  return { channel: channel as unknown as Channel, sent, bytes: () => sent.reduce((sum, { text }) => sum + text.length, 0) };
}

async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe("what a program is fed", () => {
  it("is read only once it is asked for, and said to be over when it is", async () => {
    const from = new PassThrough();
    const feed = new StdinFeed(from);
    const { channel, sent } = channelOf();
    from.write("hello");
    await settled();
    expect(sent).toEqual([]);
    feed.taken(channel, 0);
    await settled();
    from.end(" you");
    await settled();
    expect(sent.map(({ text }) => text).join("")).toBe("hello you");
    expect(sent.at(-1)).toEqual({ offset: 9, text: "", last: true });
  });

  it("is read from its beginning by another program, unless the one before has read some of it", async () => {
    const from = new PassThrough();
    const feed = new StdinFeed(from);
    const [first, second] = [channelOf(), channelOf()];
    from.end("hello");
    feed.taken(first.channel, 0);
    await settled();
    expect(feed.beginAgain()).toBe(true);
    feed.taken(second.channel, 0);
    await settled();
    expect(second.sent).toEqual([
      { offset: 0, text: "hello", last: false },
      { offset: 5, text: "", last: true },
    ]);
    feed.taken(second.channel, 2);
    expect(feed.beginAgain()).toBe(false);
  });

  it("is over though nothing ever came", async () => {
    const from = new PassThrough();
    const feed = new StdinFeed(from);
    const { channel, sent } = channelOf();
    from.end();
    feed.taken(channel, 0);
    await settled();
    expect(sent).toEqual([{ offset: 0, text: "", last: true }]);
  });

  it("goes no further than a window beyond what was taken", async () => {
    const from = new PassThrough({ highWaterMark: 64 * 1024 });
    const feed = new StdinFeed(from);
    const { channel, bytes } = channelOf();
    from.write(Buffer.alloc(3 * TUNNEL_WINDOW_BYTES, "a"));
    feed.taken(channel, 0);
    await settled();
    expect(bytes()).toBe(TUNNEL_WINDOW_BYTES);
    feed.taken(channel, 1_000);
    await settled();
    expect(bytes()).toBe(TUNNEL_WINDOW_BYTES + 1_000);
  });

  it("goes on after a lost link from where the program has come, its end included", async () => {
    const from = new PassThrough();
    const feed = new StdinFeed(from);
    const [first, second] = [channelOf(), channelOf()];
    from.end("0123456789");
    feed.taken(first.channel, 0);
    await settled();
    feed.lost();
    feed.taken(second.channel, 4);
    await settled();
    expect(second.sent).toEqual([
      { offset: 4, text: "456789", last: false },
      { offset: 10, text: "", last: true },
    ]);
  });

  it("begins where another has left it, and believes no server that says more was taken than was sent", async () => {
    const from = new PassThrough();
    const feed = new StdinFeed(from);
    const { channel, sent } = channelOf();
    feed.taken(channel, 100);
    from.write("abc");
    await settled();
    feed.taken(channel, 1_000_000);
    from.write("def");
    await settled();
    expect(sent).toEqual([
      { offset: 100, text: "abc", last: false },
      { offset: 103, text: "def", last: false },
    ]);
  });
});
