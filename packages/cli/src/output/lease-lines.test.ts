import { PaperMarket, Random } from "@xenoservers/testkit";
import { expect, it } from "vitest";
import { endLine, nextCommand, stateLine } from "./lease-lines.ts";
import { runLines, showLines } from "../verbs/lease-show.ts";

const market = new PaperMarket(new Random(1));
const server = market.server(market.party("olga"));
const po = market.purchaseOrder(market.order(market.party("carl")), server, market.offer(server));
const view = (over: Parameters<PaperMarket["view"]>[1] = {}) => market.view(po, over);
const settled = (over: Parameters<PaperMarket["end"]>[1]) =>
  view({ state: "settled", end: market.end(po, over), deadlineAt: market.now + 60_000 });

it("says how it ended, who is to blame, what it cost", () => {
  expect(endLine(settled({ exitCode: 0, dueNanos: "2000000", refundNanos: "1" }), "credits")).toMatch(
    /^exit 0 {2}0\.0020 credits for .* 0\.000000001 credits back$/,
  );
  const failed = endLine(settled({ reason: "server-failed", blame: "owner", exitCode: null, dueNanos: "0" }), "credits");
  expect(failed).toContain("server-failed: the server failed; a host's failure is never a result  blame owner  0.0000 credits");
  expect(endLine(settled({ reason: "not-delivered", exitCode: null, dueNanos: "0" }), "credits")).toContain(
    "reached neither the customer nor the broker in time",
  );
});

it("names the option that orders more where a limit ended it", () => {
  const ended = endLine(settled({ reason: "output-limit", blame: "customer", exitCode: null }), "credits");
  expect(ended).toContain("output-limit: the job wrote more output than was ordered; --max-output orders more");
});

it("says of a lease without an end where it stands", () => {
  expect(stateLine(view({ state: "lapsed" }))).toContain("no server took it up in time; the money is back");
  expect(stateLine(view({ state: "delivering" }))).toContain("waits until its bytes are here, or lie sealed");
});

it("lists the runs of a lease of several inputs by what each was given", () => {
  const run = (args: string[]) => ({ args, env: [], stdin: "0".repeat(64), stdinSize: 0 });
  expect(runLines([run(["/in/a b.csv"]), run(["-x", "7"])])).toEqual(["run 0    '/in/a b.csv'", "run 1    -x 7"]);
  expect(runLines([])).toEqual([]);
});

it("names the next thing to do", () => {
  expect(nextCommand(view())).toMatch(/^xeno attach /);
  expect(nextCommand(settled({ reason: "server-failed" }))).toContain("run it again");
  expect(nextCommand(settled({}))).toMatch(/^xeno verify /);
});

it("shows the deadline of what waits, the bytes' place, the window and its verbs", () => {
  const waiting = showLines(
    view({ state: "delivering", result: { id: po.id, reason: "completed", exitCode: 0, at: 1 }, deadlineAt: market.now }),
    "credits",
  );
  expect(waiting.join("\n")).toMatch(/result {3}completed \(0\), signed .*\nuntil {4}\d{4}-\d\d-\d\d .*: then the broker acts by itself/);
  const over = showLines({ ...settled({}), delivery: { by: "broker", at: 1 } }, "credits").join("\n");
  expect(over).toMatch(/sealed with the broker.*xeno lease result/);
  expect(over).toMatch(/window {3}doubts until .*: xeno lease object .* --reason …, or xeno dispute/);
  const disputed = view({
    state: "disputed",
    end: market.end(po),
    deadlineAt: market.now,
    objection: { by: "owner", depositNanos: "60", at: 1 },
  });
  expect(showLines(disputed, "credits").join("\n")).toMatch(
    /objected by the owner .*: the operator rules until .*; deposit 0\.00000006 credits/,
  );
});
