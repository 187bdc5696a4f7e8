import { expect, it } from "vitest";
import { Hosts, hostsIn } from "./hosts.ts";
import { isLost } from "./lost.ts";

it.each([
  ["postgres://u:p@a:5432,b:5433/market", ["postgres://u:p@a:5432/market", "postgres://u:p@b:5433/market"]],
  ["postgresql://a,b/m?sslmode=require", ["postgresql://a/m?sslmode=require", "postgresql://b/m?sslmode=require"]],
  ["postgres://u@[::1]:1,[::2]:2/m", ["postgres://u@[::1]:1/m", "postgres://u@[::2]:2/m"]],
  ["postgres://u:p,q@a/m", ["postgres://u:p,q@a/m"]],
  ["postgres://u@/m?host=%2Frun", ["postgres://u@/m?host=%2Frun"]],
])("reads the hosts of %s", (url, hosts) => {
  expect(hostsIn(url)).toEqual(hosts);
});

it("goes on from a host once, however many were asking it", () => {
  const hosts = new Hosts("postgres://a,b,c/m");
  const asked = hosts.current;
  for (let i = 0; i < 5; i++) hosts.failed(asked);
  expect(hosts.current).toBe("postgres://b/m");
  hosts.failed("postgres://b/m");
  hosts.failed("postgres://c/m");
  expect(hosts.current).toBe(asked);
});

it.each(["57P01", "57P03", "25006", "08006", "ECONNRESET"])("counts %s as a lost connection", (code) => {
  expect(isLost(Object.assign(new Error("x"), { code }))).toBe(true);
});
it.each(["23505", "40001", "42601", "57014"])("does not count %s as one", (code) => {
  expect(isLost(Object.assign(new Error("x"), { code }))).toBe(false);
});
