/**
 * Two servers of one owner that move a lease between them while messages are lost, come late or twice: the guest runs
 * in one place at most, in one again once everybody is heard, and is billed for what it ran. The broker is the fold.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FactOf } from "./facts.ts";
import { MACHINE, OTHER_SERVER, SERVER, factFor, offerOf, opened, tell, told } from "./lease.fixture.ts";
import type { Lease } from "./lease.ts";
import { movedBy } from "./moving.ts";
import { lastClaimOf } from "./use.ts";

const SPEAKERS = { server: SERVER, "other-server": OTHER_SERVER } as const;
type Name = keyof typeof SPEAKERS;
const NAMES = ["server", "other-server"] as const satisfies readonly Name[];
const otherOf = (name: Name): Name => (name === "server" ? "other-server" : "server");

/** `handed`: stands still here, and may run elsewhere; `restored`: stands still, and runs once the broker has said so. */
interface Guest {
  is: "running" | "handed" | "restored";
  usedMs: number;
  /** Signed and journaled before it is sent; null where the lease began here. */
  takeover: FactOf<"takeover"> | null;
  /** It was sent: nobody here knows what the broker has made of it before it answers. */
  isAsked: boolean;
}

const STEPS = ["wait", "claim", "hand over", "lose it", "ask the broker", "ask unheard", "take back"] as const;
type Act = readonly [what: (typeof STEPS)[number], who: Name];
const acts = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.constantFrom(...NAMES)), { maxLength: 60 });

class Play {
  lease: Lease = opened(MACHINE);
  now = this.lease.toldAt;
  ranMs = 0;
  claims = 0;
  readonly guests = new Map<Name, Guest>([["server", { is: "running", usedMs: 0, takeover: null, isAsked: false }]]);

  get running(): Name[] {
    return NAMES.filter((name) => this.guests.get(name)?.is === "running");
  }

  wait(ms: number): void {
    this.now += ms;
    for (const name of this.running) {
      this.guests.get(name)!.usedMs += ms;
      this.ranMs += ms;
    }
  }

  /** Whether the broker has receipted it. */
  claim(name: Name): boolean {
    const guest = this.guests.get(name);
    if (!guest) return false;
    const [signer, id, content] = [SPEAKERS[name], `claim ${++this.claims}`, { usedMs: guest.usedMs }];
    const claimed = tell(this.lease, "claim", { signer, id, at: this.now, content });
    if (claimed.ok) this.lease = told(claimed.lease, "claim-receipt", { at: this.now });
    return claimed.ok;
  }

  /** It stands still first, and what it has used is the broker's before anything is signed. */
  handOver(name: Name): void {
    const [guest, to] = [this.guests.get(name), otherOf(name)];
    if (guest?.is !== "running" || this.guests.has(to)) return;
    guest.is = "handed";
    if (!this.claim(name)) return;
    const { lease } = this;
    const [previous, lastClaim] = [movedBy(lease) ?? "", lastClaimOf(lease).id];
    const payload = { lease: lease.id, previous, server: name, to, lastClaim };
    const offer = offerOf({ server: to, drivers: ["qemu"], validUntil: Number.MAX_SAFE_INTEGER });
    const content = {
      ...{ lease: lease.id, server: to, serverOfKey: to },
      handover: { id: `handover ${this.claims}`, signer: SPEAKERS[name], payload },
      offer: { id: `offer of ${to}`, signer: SPEAKERS[to], payload: offer },
    };
    const takeover = factFor(lease, "takeover", { id: `takeover ${this.claims}`, signer: SPEAKERS[to], content });
    this.guests.set(to, { is: "restored", usedMs: guest.usedMs, takeover, isAsked: false });
  }

  /** The server that would take it over hands its takeover in, perhaps again. */
  ask(name: Name, isHeard = true): void {
    const guest = this.guests.get(name);
    if (guest?.is !== "restored" || !guest.takeover) return;
    guest.isAsked = true;
    const { id, signer, content } = guest.takeover;
    const { lastMove } = this.lease;
    // the same document gets the same answer
    const isAnswered = lastMove === `move of ${id}`;
    const taken = isAnswered ? null : tell(this.lease, "takeover", { id, signer, content, at: this.now });
    if (taken?.ok === false) return isHeard ? void this.guests.delete(name) : undefined;
    if (taken?.ok) {
      const move = { previous: movedBy(this.lease) ?? "", takeover: { id, signer, payload: content } };
      this.lease = told(taken.lease, "move", { id: `move of ${id}`, at: this.now, content: move });
    }
    if (isHeard) guest.is = "running";
  }

  /** Nothing was heard: by a claim it has the lease back, or learns that it is elsewhere. */
  takeBack(name: Name): void {
    const guest = this.guests.get(name);
    if (guest?.is !== "handed") return;
    if (this.claim(name)) guest.is = "running";
    else this.guests.delete(name);
  }

  do([what, who]: Act): void {
    if (what === "wait") this.wait(1_000);
    else if (what === "claim" && this.guests.get(who)?.is === "running") this.claim(who);
    else if (what === "hand over") this.handOver(who);
    else if (what === "ask the broker") this.ask(who);
    else if (what === "ask unheard") this.ask(who, false);
    else if (what === "take back") this.takeBack(who);
    // what was restored and never asked for leaves nothing behind
    else if (this.guests.get(who)?.is === "restored" && !this.guests.get(who)?.isAsked) this.guests.delete(who);
  }
}

describe("two servers that move a lease between them", () => {
  it("run its guest in one place at most, and in one again once they are heard, for what it ran", () => {
    fc.assert(
      fc.property(acts, (all) => {
        const play = new Play();
        for (const act of all) {
          play.do(act);
          const [one, ...others] = play.running;
          expect(others).toEqual([]);
          if (one !== undefined) expect(play.lease.server).toBe(one);
        }
        for (const name of NAMES) play.ask(name);
        for (const name of NAMES) play.takeBack(name);
        expect(play.running).toEqual([play.lease.server]);
        play.wait(1_000);
        const [at] = play.running;
        expect(play.claim(at!)).toBe(true);
        expect(play.lease.lastClaim?.usedMs).toBe(play.ranMs);
      }),
      { numRuns: 2_000 },
    );
  });

  it("would run it in two places, were a handover not void by the next claim", () => {
    const play = new Play();
    play.wait(1_000);
    play.handOver("server");
    play.takeBack("server");
    expect(play.running).toEqual(["server"]);
    play.ask("other-server");
    expect(play.running).toEqual(["server"]);
    expect(play.guests.has("other-server")).toBe(false);
  });
});
