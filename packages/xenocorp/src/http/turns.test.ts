/** Turns: whoever asks much waits for it by itself, and what nobody waits for any more is not done. */
import { once } from "node:events";
import { connect, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { until } from "../../../../test/until.ts";
import { Turns } from "./turns.ts";
import { World } from "./world.fixture.ts";

const here = (): boolean => false;

/** Asks for so many turns at once, and writes down who had one. */
function asking(turns: Turns, had: string[]) {
  return async (holder: string, isGone = here): Promise<void> => {
    const end = await turns.take(holder, isGone);
    had.push(end ? holder : `none for ${holder}`);
    await new Promise((resolve) => setImmediate(resolve));
    end?.();
  };
}

describe("turns", () => {
  it("go round: whoever asks once waits for one of whoever asks a hundred times", async () => {
    const had: string[] = [];
    const ask = asking(new Turns({ atOnce: 1, waitingMax: 1_000, perHolder: 1_000 }), had);
    await Promise.all([...Array.from({ length: 100 }, () => ask("loud")), ask("quiet"), ask("other"), ask("quiet")]);
    expect(had.slice(0, 7)).toEqual(["loud", "loud", "quiet", "other", "loud", "quiet", "loud"]);
    expect(had).toHaveLength(103);
  });

  it("are bounded for each holder, and in all by whoever has most", async () => {
    const had: string[] = [];
    const turns = new Turns({ atOnce: 1, waitingMax: 4, perHolder: 3 });
    const ask = asking(turns, had);
    const all = [ask("loud"), ask("loud"), ask("loud"), ask("loud"), ask("loud"), ask("a"), ask("b"), ask("b")];
    expect(turns.waiting).toBe(4);
    await Promise.all(all);
    expect(had.filter((who) => who === "none for loud")).toHaveLength(2);
    expect(had.filter((who) => who === "none for b")).toHaveLength(1);
    expect(had.slice(-4).toSorted()).toEqual(["a", "b", "loud", "loud"]);
    expect(turns.waiting).toBe(0);
  });

  it("of those who have gone are not had, and their places go to others", async () => {
    const had: string[] = [];
    const turns = new Turns({ atOnce: 1, waitingMax: 10, perHolder: 2 });
    const ask = asking(turns, had);
    let gone = false;
    const all = [ask("first"), ask("a", () => gone), ask("a", () => gone)];
    gone = true;
    all.push(
      ask("a"),
      ask("b", () => gone),
    );
    await Promise.all(all);
    expect(had.filter((who) => !who.startsWith("none"))).toEqual(["first", "a"]);
    expect(turns.waiting).toBe(0);
    // all are given back
    await ask("again");
    expect(had.at(-1)).toBe("again");
  });
});

describe("requests that wait for the database", () => {
  const sockets: Socket[] = [];
  let world: World;
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await world.close();
  });

  async function asks(address: string, path: string, times: number): Promise<Socket> {
    const { port } = world.app.server.address() as AddressInfo;
    const socket = connect({ port, host: "127.0.0.1", localAddress: address });
    sockets.push(socket.on("error", () => {}));
    await once(socket, "connect");
    socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(times));
    return socket;
  }

  it("of a connection that was cut are never asked of it, and another address waits for few of those that remain", async () => {
    const atOnce = 2;
    world = new World(undefined, { turns: { reads: { atOnce, waitingMax: 1_000, perHolder: 1_000 } } });
    await world.start();
    await world.app.listen({ host: "127.0.0.1", port: 0 });
    const { store } = world;
    const load = store.load.bind(store);
    const balances = store.balances.bind(store);
    const held: (() => void)[] = [];
    const asked: string[] = [];
    let holds = true;
    vi.spyOn(store, "load").mockImplementation(async (kind, ids) => {
      asked.push("load");
      if (holds) await new Promise<void>((resolve) => held.push(resolve));
      return load(kind, ids);
    });
    store.balances = (...what: Parameters<typeof balances>) => (asked.push("balances"), balances(...what));
    const { reads } = world.hub.door.turns;
    const loud = await asks("127.0.0.2", "/api/v1/offers", 16);
    const stays = await asks("127.0.0.3", "/api/v1/offers", 16);
    await until(() => reads.waiting === 32 - atOnce);
    loud.destroy();
    await once(loud, "close");
    const quiet = await asks("127.0.0.4", "/api/v1/offers?assurance=replicated", 1);
    await until(() => reads.waiting === 33 - atOnce);
    let answers = 0;
    for (const socket of [stays, quiet])
      socket.on("data", (bytes: Buffer) => void (answers += bytes.toString().split("HTTP/1.1 200").length - 1));
    holds = false;
    for (const go of held) go();
    await until(() => answers === 17);
    // two that were under way, and a turn of the other's
    expect(asked.indexOf("balances")).toBeLessThanOrEqual(atOnce + 2);
    // what was under way when it was cut, and all of the others
    expect(asked.filter((what) => what === "load")).toHaveLength(atOnce + 17);
  });
});
