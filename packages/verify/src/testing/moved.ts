/** A lease that goes on at another server of its owner, as both servers and the broker would say it. */
import { leaseIn, type LeaseScript } from "./lease-script.ts";

/** From now on the other server says what there is to say. */
export function moved(script: LeaseScript): LeaseScript {
  const { cast } = script;
  const { server, server2 } = cast;
  script.after(script.rng.between(1, 5_000));
  script.say(
    "server-2",
    "offer",
    (play, at) => ({ ...play.of("offer").document.payload, server: server2, validUntil: at + 600_000, channelKey: "33".repeat(32) }),
    { label: "other offer", isAside: true },
  );
  script.say(
    "server",
    "handover",
    (play) => ({
      ...{ lease: leaseIn(play), previous: play.of("acceptance").document.id, server, to: server2 },
      lastClaim: play.all("claim").at(-1)?.document.id ?? play.of("opening").document.id,
    }),
    { isAside: true },
  );
  script.say("server-2", "takeover", (play) => ({
    ...{ lease: leaseIn(play), server: server2, handover: play.of("handover").document.envelope },
    offer: play.of("offer", "other offer").document.envelope,
  }));
  script.say("orders", "move", (play, at) => ({
    ...{ lease: leaseIn(play), takeover: play.of("takeover").document.envelope },
    ...{ previous: play.of("handover").document.payload.previous, at },
  }));
  script.holder = "server-2";
  return script;
}
