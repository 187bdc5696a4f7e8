import type { Job, Market } from "@xenoservers/sdk";
import { describe, expect, it } from "vitest";
import { Followed } from "./followed.ts";
import { FollowedLeases } from "./followed-leases.ts";

const never = new Promise<never>(() => {});

/** One that runs on, or whose sending failed. */
const jobOf = (lease: string, error?: Error): Job => {
  const ended = error ? Promise.reject(error) : never;
  ended.catch(() => {});
  const output = { [Symbol.asyncIterator]: () => ({ next: () => ended }) };
  return { lease, running: ended, output, delivered: ended, result: ended, detach: () => {} } as unknown as Job;
};

function market(): { attach: Market["attach"]; asked: string[] } {
  const asked: string[] = [];
  return { asked, attach: (lease) => (asked.push(lease), Promise.resolve(jobOf(lease))) };
}

describe("a lease that is followed", () => {
  it("is gone on with by the market that ordered it where its sending failed: that holds the job, and sends it once more", async () => {
    const [page, machines] = [market(), market()];
    const leases = new FollowedLeases(page);
    const first = new Followed(async () => jobOf("a", new Error("the broker went away")), true);
    leases.ordered("a", first, machines);
    expect([leases.follow("a") === first, leases.isSending]).toEqual([true, true]);
    await new Promise<void>((told) => first.subscribe(() => first.standing().error !== null && told()));
    expect(leases.isSending).toBe(false);
    leases.unfollow("a");
    const second = leases.follow("a");
    await second.job;
    expect([second.hasJob, leases.isSending, machines.asked, page.asked]).toEqual([true, true, ["a"], []]);
    // nobody looks at it, and it is sent all the same
    leases.unfollow("a");
    expect(leases.follow("a")).toBe(second);
  });

  it("that was ordered elsewhere is followed, and its job is not here", async () => {
    const page = market();
    const leases = new FollowedLeases(page);
    const followed = leases.follow("b");
    await followed.job;
    expect([followed.hasJob, leases.isSending, page.asked]).toEqual([false, false, ["b"]]);
    leases.unfollow("b");
    expect(leases.follow("b")).not.toBe(followed);
  });
});

it("stands still from its customer's word on, also while its server is not reached, until it is said to go on", async () => {
  let say!: (state: string) => void;
  const followed = new Followed(async ({ onState }) => ((say = onState), jobOf("a")), false);
  const stands = ["running", "paused", "problem: slow", "reconnecting", "running", "reconnecting", "paused", "matched again"].map(
    (state) => {
      say(state);
      return followed.standing().isPaused;
    },
  );
  expect(stands).toEqual([false, true, true, true, false, false, true, false]);
});
