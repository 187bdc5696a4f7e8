import { describe, expect, it } from "vitest";
import { LogView, SigningStopped } from "./log-view.ts";

const head = (id: string, size: number, root = `${id}${size}`) => ({ id, size, root });

describe("the log that a broker signs over", () => {
  it("goes forward, and what was read earlier and comes later changes nothing", () => {
    const log = new LogView();
    log.begin(head("e", 3));
    const before = log.known;
    log.see(head("e", 7), log.known);
    log.see(head("e", 5), before);
    expect(log.seen).toEqual({ epoch: "e", size: 7, root: "e7" });
    expect(log.stopped).toBeNull();
  });

  it.each([
    ["a newer epoch", head("f", 0), /goes on as epoch f, .* End this broker, and start it again/],
    ["fewer leaves", head("e", 2), /has 2 leaves, this broker saw epoch e with 3 leaves: .*xeno broker restore/],
    ["another root", head("e", 3, "other"), /another root .*xeno broker backup/],
    ["no log", null, /no log any more.*xeno broker restore/],
  ])("stops all signing at %s, for good", (_, now, says) => {
    const log = new LogView();
    log.begin(head("e", 3));
    expect(() => log.see(now, log.known)).toThrow(says);
    expect(log.stopped).toMatch(says);
    expect(() => log.seen).toThrow(SigningStopped);
    expect(() => log.see(head("e", 9), log.known)).toThrow(says);
    expect(() => log.seen).toThrow(says);
  });
});
