/** What an interrupt does to an order that nobody has taken up, and to a job that runs. */
import type { Job, LeaseSession, Withdrawn } from "@xenoservers/sdk";
import { afterEach, describe, expect, it } from "vitest";
import { onInterrupt } from "./interrupt.ts";

const asked: string[] = [];
const sessionThat = (withdraw: () => Promise<Withdrawn>): LeaseSession =>
  ({
    withdraw(reason: string) {
      asked.push(reason);
      return withdraw();
    },
  }) as unknown as LeaseSession;
const jobThat = (isThere: boolean, withdraw: () => Promise<Withdrawn>): Pick<Job, "isThere" | "stop"> => ({
  isThere,
  stop: ({ reason = "" } = {}) => sessionThat(withdraw).withdraw(reason),
});
let done = (): void => {};
function interrupt(
  signal: "SIGINT" | "SIGTERM" | "SIGHUP",
  isThere: boolean,
  withdraw: () => Promise<Withdrawn> = async () => "withdrawn",
  stops = false,
) {
  const interrupted = onInterrupt(jobThat(isThere, withdraw), { isJoined: () => false, stops });
  ({ done } = interrupted);
  process.emit(signal);
  return interrupted.left;
}

afterEach(() => {
  done();
  asked.length = 0;
});

describe("an interrupt", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("by %s withdraws an order whose job is not with its server yet", async (signal) => {
    expect(await interrupt(signal, false)).toBe("withdrawn");
    expect(asked).toEqual(["interrupted"]);
  });

  it("leaves a job that is all with its server to run on, where nobody can be asked", async () => {
    expect(await interrupt("SIGTERM", true)).toBe("detach");
    expect(asked).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("by %s with --stop-on-exit ends a job that runs, and its cost", async (signal) => {
    expect(await interrupt(signal, true, undefined, true)).toBe("withdrawn");
    expect(asked).toEqual(["interrupted"]);
  });

  it("a second time does not wait for a broker that does not answer", async () => {
    const left = interrupt("SIGINT", false, () => new Promise(() => {}));
    process.emit("SIGINT");
    expect(await left).toBe("unheard");
  });

  it("takes its listeners away again", () => {
    const before = process.listenerCount("SIGINT");
    ({ done } = onInterrupt(
      jobThat(true, async () => "over"),
      { isJoined: () => false, stops: false },
    ));
    expect(process.listenerCount("SIGINT")).toBe(before + 1);
    done();
    expect(process.listenerCount("SIGINT")).toBe(before);
  });
});
