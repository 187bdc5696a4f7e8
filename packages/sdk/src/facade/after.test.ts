/** What a run waits for that comes after others, by a broker that says how they stand. */
import type { LeaseView } from "@xenoservers/protocol";
import { refuse } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import type { MarketClient } from "../client.ts";
import { RefusedError } from "../errors.ts";
import { AFTER_MAX, untilEndedWell } from "./after.ts";

type Stands = Partial<Pick<LeaseView, "state">> & { end?: { reason: string; exitCode: number | null } | null };
const WELL: Stands = { end: { reason: "completed", exitCode: 0 } };
const RUNS: Stands = { state: "open" };

/** Says of each lease one thing after the other, and the last again and again; an error is thrown. */
function broker(says: Record<string, (Stands | Error)[]>, orders: Record<string, { lease: string | null; waiting: object | null }> = {}) {
  const seen: string[] = [];
  const read = async (name: string, { params: { id } }: { params: { id: string } }): Promise<unknown> => {
    seen.push(id);
    if (name === "order") return orders[id];
    const next = says[id]!.length > 1 ? says[id]!.shift()! : says[id]![0]!;
    if (next instanceof Error) throw next;
    return { id, orderId: `o-${id}`, state: "final", end: null, ...next };
  };
  const client = { read, sleep: () => new Promise((resolve) => setImmediate(resolve)) } as unknown as MarketClient;
  return { client, seen };
}

describe("leases that a run comes after", () => {
  it("are waited for until each has ended by itself with 0, and each is looked at only until then", async () => {
    const { client, seen } = broker({ aaaa: [RUNS, RUNS, WELL], bbbb: [WELL] });
    const left: string[][] = [];
    await untilEndedWell(client, ["aaaa", "bbbb"], { onLeft: (each) => left.push([...each]) });
    expect(seen.filter((id) => id === "bbbb")).toHaveLength(1);
    expect(left).toEqual([["aaaa"]]);
  });

  it.each<[string, Stands, string]>([
    ["failed by itself", { end: { reason: "completed", exitCode: 3 } }, "completed, exit code 3"],
    ["was stopped, whatever its code", { end: { reason: "customer-stop", exitCode: 0 } }, "customer-stop, exit code 0"],
    ["ended without a code", { end: { reason: "server-failed", exitCode: null } }, "server-failed"],
  ])("order nothing where one %s, at once", async (_, stands, how) => {
    const { client } = broker({ aaaa: [RUNS], bbbb: [stands] });
    const after = untilEndedWell(client, ["aaaa", "bbbb"]);
    await expect(after).rejects.toMatchObject({ code: "earlier_failed", money: "none", lease: "bbbb" });
    await expect(after).rejects.toThrow(`lease bbbb did not end well (${how}): nothing was ordered`);
  });

  it("are followed where an order was placed again, and fail where no server took it", async () => {
    const lapsed: Stands = { state: "lapsed" };
    const moved = broker({ aaaa: [lapsed], cccc: [RUNS, WELL] }, { "o-aaaa": { lease: "cccc", waiting: null } });
    await untilEndedWell(moved.client, ["aaaa"]);
    expect(moved.seen).toContain("cccc");
    const nobody = broker({ aaaa: [lapsed] }, { "o-aaaa": { lease: "aaaa", waiting: null } });
    await expect(untilEndedWell(nobody.client, ["aaaa"])).rejects.toThrow(/no server took it/);
  });

  it("outlast a broker that is away, and end with one that knows none of them", async () => {
    const away = broker({ aaaa: [new RefusedError(refuse("unavailable")), WELL] });
    await untilEndedWell(away.client, ["aaaa"]);
    const none = broker({ aaaa: [new RefusedError(refuse("not_found"))] });
    await expect(untilEndedWell(none.client, ["aaaa"])).rejects.toMatchObject({ code: "not_found" });
  });

  it("are waited for no longer than the caller's signal says, and are not more than can be asked for", async () => {
    const { client } = broker({ aaaa: [RUNS] });
    const off = new AbortController();
    const after = untilEndedWell(client, ["aaaa"], { signal: off.signal, onLeft: () => off.abort() });
    await expect(after).rejects.toMatchObject({ code: "aborted" });
    await expect(untilEndedWell(client, Array<string>(AFTER_MAX + 1).fill("aaaa"))).rejects.toMatchObject({ code: "bad_input" });
  });
});
