import { it } from "vitest";
import { systemTimers, type Pipe, type Timers } from "@xenoservers/protocol/link";
import { LinkHub, Sessions } from "@xenoservers/xenocorp/parts";
import { until } from "../until.ts";
import { Harness } from "./harness.ts";

function pipe() {
  let deliver: (text: string) => void = () => {};
  const state = { closed: false, sent: [] as string[] };
  const end: Pipe = {
    send: (message) => void state.sent.push(String(message)),
    close: () => void (state.closed = true),
    onMessage: (handler) => void (deliver = handler),
    onClose: () => {},
  };
  return { end, state, deliver: (text: string) => deliver(text) };
}

/** Nothing is closed by its time being over. */
const timers: Timers = { ...systemTimers, after: () => () => {} };

it("closes a link instead of falling over while the database is away", async () => {
  const h = await Harness.open();
  const away = () => Promise.reject(new Error("away"));
  const hub = new LinkHub(() => h.desk, new Sessions(h.desk.services), away, timers);
  const first = pipe();
  hub.accept(first.end);
  await until(() => first.state.closed);

  const customer = await h.party();
  const second = pipe();
  const challenge = new LinkHub(
    () => h.desk,
    new Sessions(h.desk.services),
    async () => ({}) as never,
    timers,
  );
  challenge.accept(second.end);
  await until(() => second.state.sent.length > 0);
  const given = (JSON.parse(second.state.sent[0]!) as { challenge: string }).challenge;
  h.store.load = away;
  second.deliver(
    JSON.stringify({
      t: "hello",
      protocol: 1,
      login: h.sign(customer.signer, "login", { party: customer.party, challenge: given }).envelope,
      clock: 0,
    }),
  );
  await until(() => second.state.closed);
});
