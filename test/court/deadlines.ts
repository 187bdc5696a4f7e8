/** Time that is waited for: from one deadline of the leases to the next, never longer than the fold says. */
import { isLive, type LeaseState } from "@xenoservers/market";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import type { Room } from "./room.ts";

/** More deadlines than any case has, a committed replica's looks at its siblings among them. */
const DEADLINES_MAX = 2_000;

/**
 * Lets time pass from deadline to deadline while a lease is in one of these states; a lease whose deadline has passed without a change is
 * frozen, and one of the room's problems.
 */
async function waitWhile(room: Room, isWaiting: (lease: LeaseRow) => boolean): Promise<void> {
  for (let i = 0; i < DEADLINES_MAX; i++) {
    const leases = await room.allLeases();
    const waiting = leases.filter(isWaiting);
    if (waiting.length === 0) return;
    const next = leases.flatMap(({ deadlineAt }) => deadlineAt ?? []).reduce((a, b) => Math.min(a, b), Infinity);
    if (next === Infinity) return void room.problems.push(`a lease that is ${waiting[0]?.state} waits for nothing: it is frozen`);
    await room.pass(Math.max(0, next - room.now));
    await room.runTimers();
    const after = await room.allLeases();
    const stuck = after.find(
      (lease, i) => lease.deadlineAt === leases[i]?.deadlineAt && lease.deadlineAt !== null && lease.deadlineAt <= room.now,
    );
    if (stuck) return void room.problems.push(`a lease is still ${stuck.state} when its deadline is over`);
  }
  room.problems.push("the leases go from deadline to deadline without an end");
}

const isOver = (state: LeaseState): boolean => state === "final" || state === "lapsed";

export const untilSettled = (room: Room): Promise<void> => waitWhile(room, ({ state }) => isLive(state));
export const untilOver = (room: Room): Promise<void> => waitWhile(room, ({ state }) => !isOver(state));
export const untilShown = (room: Room): Promise<void> => waitWhile(room, ({ state }) => state === "committed");

/** Until this lease, which nobody has accepted, has lapsed. */
export const untilPast = (room: Room, id: string): Promise<void> => waitWhile(room, (lease) => lease.id === id && lease.state === "bound");
