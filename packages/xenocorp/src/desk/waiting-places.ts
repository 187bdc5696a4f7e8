/** A place in the queue: the books count those that are taken, of each party and of all, so that no number of brokers gives away more. */
import { WAITING_MAX, WAITING_PER_PARTY_MAX, waitingKey, type Floor, type OutsideKey, type Transfer } from "@xenoservers/market";
import { transfer } from "./outcome.ts";

const SINK: OutsideKey = "sink/waiting";
const MARKET = "market";

interface Place {
  order: string;
  customer: string;
  /** After which attempt it waits: each time it has a place of its own. */
  attempt: number;
}

const keysOf = ({ customer }: Place) => [waitingKey(customer), waitingKey(MARKET)] as const;

export function takePlace(place: Place): { floors: Floor[]; transfers: (Transfer | null)[] } {
  const [own, all] = keysOf(place);
  const name = `waiting/${place.order}/${place.attempt}`;
  return {
    floors: [
      { key: own, floor: BigInt(-WAITING_PER_PARTY_MAX) },
      { key: all, floor: BigInt(-WAITING_MAX) },
    ],
    transfers: [
      transfer(`${name}/own`, own, SINK, 1n, { code: "queue_full", of: place.customer }),
      transfer(`${name}/all`, all, SINK, 1n, { code: "queue_full", of: MARKET }),
    ],
  };
}

export function leavePlace(place: Place): (Transfer | null)[] {
  const [own, all] = keysOf(place);
  const name = `waiting/${place.order}/${place.attempt}`;
  return [transfer(`${name}/own-left`, SINK, own, 1n), transfer(`${name}/all-left`, SINK, all, 1n)];
}
