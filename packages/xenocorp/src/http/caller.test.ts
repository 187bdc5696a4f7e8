import { describe, expect, it } from "vitest";
import { callers } from "./caller.ts";

const request = (remoteAddress: string, forwarded?: string | string[]) =>
  ({ socket: { remoteAddress }, headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded } }) as never;

describe("without a named proxy", () => {
  const none = callers([]);
  it.each([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
  ])("%s counts as %s", (peer, caller) => {
    expect(none.of(request(peer))).toBe(caller);
  });
  it("what a header says is nobody's", () => {
    expect(none.of(request("192.0.2.7", "198.51.100.1"))).toBe("192.0.2.7");
  });
});

describe("behind named proxies", () => {
  const named = callers(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);
  it.each([
    ["127.0.0.1", "198.51.100.1", "198.51.100.1"],
    ["::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"],
    ["127.0.0.1", "198.51.100.1, 10.1.2.3", "198.51.100.1"],
    ["fd00::7", "2001:db8:1:2:3::9", "2001:db8:1:2::/64"],
    ["127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"],
    ["127.0.0.1", "6.6.6.6, 198.51.100.1, nonsense", "127.0.0.1"],
    ["192.0.2.7", "198.51.100.1", "192.0.2.7"],
    ["127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"],
  ])("%s that names %s speaks for %s", (peer, forwarded, caller) => {
    expect(named.of(request(peer, forwarded))).toBe(caller);
  });
  it("headers that come more than once are one list", () => {
    expect(named.of(request("127.0.0.1", ["6.6.6.6", "198.51.100.1"]))).toBe("198.51.100.1");
  });
  it("knows their connections", () => {
    expect([named.isProxy("10.9.9.9"), named.isProxy("::ffff:10.9.9.9"), named.isProxy("11.0.0.1"), named.isProxy(undefined)]).toEqual([
      ...[true, true, false, false],
    ]);
  });
  it.each(["", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1", "fd00::/129"])(
    "%j is refused in words where it is set",
    (proxy) => {
      expect(() => callers([proxy])).toThrow("no address and no subnet");
    },
  );
});
