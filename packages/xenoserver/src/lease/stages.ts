/**
 * The stages of a lease on its server, and what leads from one to the next: a total table of stages x events. What the lease *is* stands in
 * its fold (market/lease); a stage says what this server does about it.
 *
 *   accepting ─opened─▶ waiting ─job-here─▶ preparing ─prepared─▶ beginning ─began─▶ running ─stop─▶ stopping
 *                          │ stop, finished    │ stop, finished      │ finished         │ finished     │ finished
 *                          ▼                   ▼                     ▼                  ▼              ▼
 *                        ending ─────────────────── signed ─────────────────▶ ended ─handed-in─▶ delivering
 *                          └── committed (a replica's, not shown) ──▶ committed ─revealed──┘
 *
 *   taking ─taken─▶ beginning: what another server of its owner handed over stands still here until the broker has moved the lease
 *
 * `over` ends every stage: settled, closed, lapsed, refused. `released` is for a daemon that goes away: guests run on, and the next one
 * takes the lease up from its journal. An event that a stage ignores has come too late or twice; whoever raised it cleans up what it
 * brought.
 */
import type { RunningGuest } from "../drivers/driver.ts";

export type Stage =
  /** The acceptance is on its way. */
  | { is: "accepting" }
  /** Another server of its owner hands it over: its guest stands still here, and the lease is not here yet. */
  | { is: "taking" }
  /** Open: the job's bytes may come. */
  | { is: "waiting" }
  /** A guest is being made. */
  | { is: "preparing" }
  /** Its token is saved; it begins. */
  | { is: "beginning" }
  | { is: "running"; guest: RunningGuest }
  /** It was told to stop, and still hands in what there is. */
  | { is: "stopping"; guest: RunningGuest }
  /** Nothing runs any more; its result is being signed. */
  | { is: "ending" }
  /** A replica's result is signed and committed to, and not shown before every replica has committed. */
  | { is: "committed" }
  /** The result is signed, shown, and on its way to the broker. */
  | { is: "ended" }
  /** The broker has the result and waits for its bytes to be delivered. */
  | { is: "delivering" }
  | { is: "over" }
  | { is: "released" };
export type StageName = Stage["is"];

export type StageEvent =
  | { t: "opened" }
  | { t: "taken" }
  | { t: "job-here" }
  | { t: "prepared" }
  | { t: "began"; guest: RunningGuest }
  | { t: "stop" }
  | { t: "finished" }
  | { t: "signed" }
  | { t: "committed" }
  | { t: "revealed" }
  | { t: "handed-in" }
  | { t: "over" }
  | { t: "released" };
export type EventName = StageEvent["t"];

interface Row {
  /** The next stage; null: the event is ignored. */
  on: Readonly<Record<EventName, StageName | null>>;
  /** What the customer is told. */
  shows: "waiting" | "preparing" | "running" | "ended";
  /** Whether it takes room that another lease could have. */
  holdsCapacity: boolean;
  /** Whether usage is claimed. */
  claims: boolean;
}

const NONE = {
  ...{ opened: null, taken: null, "job-here": null, prepared: null, began: null, stop: null, finished: null },
  ...{ signed: null, committed: null, revealed: null, "handed-in": null, over: null, released: null },
} satisfies Record<EventName, null>;
const ANYHOW = { ...NONE, over: "over", released: "released" } as const;
const held = { holdsCapacity: true, claims: true } as const;
const done = { shows: "ended", holdsCapacity: false, claims: false } as const;

export const STAGES: Readonly<Record<StageName, Row>> = {
  accepting: { on: { ...ANYHOW, opened: "waiting" }, shows: "waiting", holdsCapacity: true, claims: false },
  taking: { on: { ...ANYHOW, taken: "beginning" }, shows: "preparing", holdsCapacity: true, claims: false },
  waiting: { on: { ...ANYHOW, "job-here": "preparing", stop: "ending", finished: "ending" }, shows: "waiting", ...held },
  preparing: { on: { ...ANYHOW, prepared: "beginning", stop: "ending", finished: "ending" }, shows: "preparing", ...held },
  // a stop is remembered until the guest can be told
  beginning: { on: { ...ANYHOW, began: "running", finished: "ending" }, shows: "preparing", ...held },
  running: { on: { ...ANYHOW, stop: "stopping", finished: "ending" }, shows: "running", ...held },
  stopping: { on: { ...ANYHOW, finished: "ending" }, shows: "running", ...held },
  ending: { on: { ...ANYHOW, signed: "ended", committed: "committed" }, shows: "running", holdsCapacity: true, claims: false },
  committed: { on: { ...ANYHOW, revealed: "ended" }, ...done },
  ended: { on: { ...ANYHOW, "handed-in": "delivering" }, ...done },
  delivering: { on: ANYHOW, ...done },
  over: { on: { ...NONE, released: "released" }, ...done },
  released: { on: NONE, ...done },
};

const isStage = (text: string): text is StageName => Object.hasOwn(STAGES, text);
const isEvent = (text: string): text is EventName => Object.hasOwn(NONE, text);
export const STAGE_NAMES: readonly StageName[] = Object.keys(STAGES).filter(isStage);
export const EVENT_NAMES: readonly EventName[] = Object.keys(NONE).filter(isEvent);

/** The stage after an event; null where this one ignores it. */
export function next(stage: Stage, event: StageEvent): Stage | null {
  const to = STAGES[stage.is].on[event.t];
  if (to === null) return null;
  if (to !== "running" && to !== "stopping") return { is: to };
  const guest = event.t === "began" ? event.guest : "guest" in stage ? stage.guest : null;
  return guest && { is: to, guest };
}
