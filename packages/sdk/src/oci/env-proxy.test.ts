import { describe, expect, it } from "vitest";
import { proxyFor } from "./env-proxy.ts";

const by = (to: string, env: Record<string, string>): string | undefined => proxyFor(new URL(to), env)?.url.host;
const at = { HTTP_PROXY: "http://plain:1", HTTPS_PROXY: "http://secure:2" };

describe("the proxy of the environment", () => {
  it.each([
    ["each protocol has its own", "https://r.example/v2/", at, "secure:2"],
    ["each protocol has its own", "http://r.example/v2/", at, "plain:1"],
    ["small letters do, too", "https://r.example", { https_proxy: "http://small:3" }, "small:3"],
    ["capitals go before them", "https://r.example", { ...at, https_proxy: "http://small:3" }, "secure:2"],
    ["an empty one is none", "https://r.example", { HTTPS_PROXY: "", https_proxy: "http://small:3" }, "small:3"],
    ["nor is one for everything, which Go does not read", "https://r.example", { ALL_PROXY: "http://all:4" }, undefined],
    ["an address alone is one of http", "https://r.example", { HTTPS_PROXY: "10.0.0.1:3128" }, "10.0.0.1:3128"],
    ["this machine is asked itself", "http://localhost:5000", at, undefined],
    ["this machine is asked itself", "http://127.9.9.9:5000", at, undefined],
    ["this machine is asked itself", "http://[::1]:5000", at, undefined],
  ])("%s: %s", (_, to, env, proxy) => expect(by(to, env)).toBe(proxy));

  it.each([
    ["*", "r.example", true],
    ["r.example", "r.example", true],
    ["r.example", "a.r.example", true],
    ["r.example", "ar.example", false],
    [".r.example", "r.example", false],
    [".r.example", "a.r.example", true],
    ["*.r.example", "a.r.example", true],
    ["R.Example , other", "r.example", true],
    ["other,,", "r.example", false],
    ["r.example:5000", "r.example:5000", true],
    ["r.example:5000", "r.example", false],
    ["r.example:443", "r.example", true],
    ["10.0.0.0/8", "10.1.2.3", true],
    ["10.0.0.0/8", "11.1.2.3", false],
    ["10.0.0.0/33", "10.1.2.3", false],
    ["10.0.0.0/8", "r.example", false],
    ["192.0.2.7", "192.0.2.7:5000", true],
    ["192.0.2.7:5000", "192.0.2.7:5000", true],
    ["192.0.2.7:5001", "192.0.2.7:5000", false],
    ["2001:db8::/32", "[2001:db8::1]:5000", true],
    ["2001:db8::1", "[2001:db8::1]", true],
    ["[2001:db8::1]:5000", "[2001:db8::1]:5000", true],
    ["::ffff:10.1.2.3", "10.1.2.3", true],
    ["1.2.3", "192.1.2.3", true],
    ["r.example:", "r.example", true],
    [":443", "r.example", false],
    ["a.*.example", "a.r.example", false],
    ["r.example other", "r.example", false],
  ])("NO_PROXY=%s and %s: without is %s", (exceptions, host, without) => {
    for (const name of ["NO_PROXY", "no_proxy"])
      expect(by(`https://${host}/`, { ...at, [name]: exceptions })).toBe(without ? undefined : "secure:2");
  });

  it.each([
    ["socks5://p:1080", /HTTPS_PROXY names a proxy of a kind that is not known here \(socks5:/],
    ["http://", /HTTPS_PROXY is no proxy's address/],
    ["http://a:100%@p", /HTTPS_PROXY holds a login with a lone %/],
  ])("refuses %s in words, without its login", (value, words) => {
    expect(() => by("https://r.example", { HTTPS_PROXY: value })).toThrow(words);
  });
});
