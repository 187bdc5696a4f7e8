/** What the customer of a lease sees of it, and may do, over its channels. Who controls the inputs: the customer, every message. */
import type { AttachmentsHost } from "../customer/attachments.ts";
import type { GuestRun } from "./guest-run.ts";
import type { HandingIn } from "./handing-in.ts";
import type { JobIntake } from "./job-intake.ts";
import type { LeaseClock } from "./lease-clock.ts";
import type { LeaseContext } from "./lease-context.ts";
import { STAGES } from "./stages.ts";
import type { TraceAnswer } from "./trace-answer.ts";

interface LeaseParts {
  clock: LeaseClock;
  intake: JobIntake;
  guestRun: GuestRun;
  handingIn: HandingIn;
  trace: TraceAnswer;
}

/** Whether what the guest wrote may be seen: a replica's is held back until every replica has committed to its result. */
function isShown({ record: { result, commitment }, order, facts }: LeaseContext): boolean {
  const revealed = (facts.lease.commitment?.revealedAt ?? null) !== null;
  return order.replicas === 1 || (result !== null && (commitment === null || revealed));
}

export function customersView(ctx: LeaseContext, { clock, intake, guestRun, handingIn, trace }: LeaseParts): AttachmentsHost {
  const { record, world, order, driver } = ctx;

  /** An output file, when it may be shown; or a piece of the states that a trace left. */
  async function read(digest: string, offset: number, length: number): Promise<Uint8Array | null> {
    const { guest } = guestRun;
    const listed = isShown(ctx) && record.result?.tree.some((entry) => entry.kind === "file" && entry.digest === digest);
    if (listed && guest) return guest.readOutput(digest, offset, length);
    const part = await trace.read(digest, offset, length);
    return part.length > 0 ? part : null;
  }

  return {
    ...{ lease: record.lease, channelKey: world.channelKey, customerKey: order.channelKey, memory: world.channelMemory, read },
    guest: () => guestRun.guest,
    result: () => record.result,
    state: () => ({ state: STAGES[ctx.stage().is].shows, usedMs: clock.usedMs }),
    isShown: () => isShown(ctx),
    standsStill: () => guestRun.standsStill,
    requests: {
      capabilities: driver.capabilities,
      guest() {
        const stage = ctx.stage();
        return stage.is === "running" ? stage.guest : null;
      },
      begun: () => ctx.begun(),
      isPaused: () => record.pausedByCustomer,
      needHere: () => clock.needHere(),
      pause: () => clock.hold(true),
      resume: () => clock.hold(false),
      sleep: (ms) => ctx.sleep(ms),
    },
    takeJob: (header, channel) => intake.take(header, channel),
    jobCame: (transfer, failure) => intake.came(transfer, failure),
    unreadable: (why) => intake.unreadable(why),
    progress: () => handingIn.progress(),
    delivered: (word) => handingIn.delivered(word),
  };
}
