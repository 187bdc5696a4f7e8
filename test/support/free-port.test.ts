import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { expect, it } from "vitest";
import { freePort } from "./free-port.ts";

it("is one that the system gives to nobody by itself, and another each time", async () => {
  const first = Number((await readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8")).split(/\s/)[0]);
  const ports: number[] = [];
  for (let i = 0; i < 20; i++) ports.push(await freePort());
  expect(new Set(ports).size).toBe(20);
  if (first > 10_000) expect(ports.filter((port) => port < 10_000 || port >= first)).toEqual([]);
});

it("is never one where somebody listens", async () => {
  const next = (await freePort()) + 1;
  const taken = createServer().listen(next, "127.0.0.1");
  const isOurs = await once(taken, "listening").then(
    () => true,
    () => false,
  );
  if (!isOurs) return; // another program has it: less is proved then, and nothing false
  expect(await freePort()).not.toBe(next);
  taken.close();
});
