import { describe, expect, it } from "vitest";
import { parseAmount, parseBudget, parseCount, parseDurationMs, parseGigaFuel, parsePercent, parseSizeMib } from "@xenoservers/sdk";
import { parseBatch, parseHostPort, parseLabel, parseMoveTarget, parsePort, parseScopes, parseTime, parseWitness } from "./parse.ts";

const SERVER = `s_${"1".repeat(40)}`;

describe("what people type", () => {
  it.each<[string, unknown, unknown]>([
    ["a duration", parseDurationMs("90s", "x"), 90_000],
    ["half a day", parseDurationMs("0.5d", "x"), 43_200_000],
    ["an amount", parseAmount("0.05", "x"), 50_000_000n],
    ["the least budget", parseBudget("0.000000001", "x"), 1n],
    ["a size", parseSizeMib("2G", "x"), 2_048],
    ["a count", parseCount("7", "x", 7), 7],
    ["fuel", parseGigaFuel("3", "x"), 3_000_000_000n],
    ["a host and port", parseHostPort("10.0.0.5:7401", "x"), { host: "10.0.0.5", port: 7_401 }],
    ["a host with colons and a port", parseHostPort("[::1]:0", "x"), { host: "::1", port: 0 }],
    ["a server and where it is", parseMoveTarget(`${SERVER}@[fd00::5]:44`, "x"), { server: SERVER, host: "fd00::5", port: 44 }],
    ["a port, or any", [parsePort("7400", "x"), parsePort("0", "x")], [7_400, 0]],
    ["a part of what is paid", ["2.5%", "2.5", "0", "50 %", "0.05%"].map((each) => parsePercent(each, "x")), [250, 250, 0, 5_000, 5]],
    ["a day", parseTime("2026-12-01", "x"), Date.UTC(2026, 11, 1)],
    ["a moment", parseTime("2026-12-01T14:30Z", "x"), Date.UTC(2026, 11, 1, 14, 30)],
    ["a moment in a zone", parseTime("2026-12-01T14:30:10+02:00", "x"), Date.UTC(2026, 11, 1, 12, 30, 10)],
    ["scopes, once each", parseScopes("read, spend|read", "x"), ["read", "spend"]],
    ["a witness", parseWitness(`w1=${"a".repeat(64)}`), { name: "w1", key: "a".repeat(64) }],
  ])("is read: %s", (_, got, wanted) => expect(got).toEqual(wanted));

  it.each<[string, () => unknown, RegExp]>([
    ["a duration without a unit", () => parseDurationMs("90", "--max-time"), /--max-time '90' is not a duration/],
    ["a budget of nothing", () => parseBudget("0.00", "--budget"), /--budget must be above 0/],
    ["a negative amount", () => parseAmount("-1", "--budget"), /--budget '-1' is not an amount/],
    ["no size", () => parseSizeMib("0M", "--mem"), /--mem '0M' is not a size/],
    ["a count over the most", () => parseCount("8", "--replicas", 7), /from 1 to 7/],
    ["a host without a port", () => parseHostPort("10.0.0.5", "--inner"), /--inner is HOST:PORT/],
    ["a server without a place", () => parseMoveTarget(SERVER, "--to"), /--to is ID@HOST:PORT: the other server's id/],
    ["a place of no server", () => parseMoveTarget("s_1@a:1", "--to"), /'s_1' is no server/],
    ["a host with colons and no brackets", () => parseHostPort("::1:7401", "--inner"), /--inner is HOST:PORT/],
    ["a port out of range", () => parsePort("65536", "--port"), /--port '65536'/],
    ["more than half of what is paid", () => parsePercent("51%", "--max-fee"), /at most 50%/],
    ["a fraction of a basis point", () => parsePercent("0.005%", "fee"), /is not a part of what is paid/],
    ["a day that is none", () => parseTime("2026-13-01", "--from"), /--from '2026-13-01' is no time/],
    ["words for a time", () => parseTime("tomorrow", "--from"), /write 2026-12-01/],
    ["an unknown scope", () => parseScopes("read,sudo", "--scopes"), /--scopes 'sudo' is no scope; there are manage, spend/],
    ["no scope at all", () => parseScopes(" ", "--scopes"), /is no scope/],
    ["a batch by its first letters", () => parseBatch("abcd"), /'abcd' is no batch: write its whole id/],
    ["a label that no order takes", () => parseLabel("x".repeat(65), "--label"), /--label 'x+' is no label: at most 64 letters/],
    ["a label that a terminal would obey", () => parseLabel("a\u001b[2J", "--label"), /is no label/],
    ["a witness without a key", () => parseWitness("w1="), /must be NAME=KEY/],
  ])("is refused in words: %s", (_, read, why) => expect(read).toThrow(why));
});
