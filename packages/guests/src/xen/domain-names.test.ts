/** A server knows its own domains, and no other's. */
import { expect, it } from "vitest";
import { domainName, domainUuid, hasMark } from "./domain-names.ts";

it("names a domain by its lease alone, and marks it by a UUID that no other server gives that name", () => {
  const name = domainName(`${"ab".repeat(16)}ff`);
  expect(name).toBe(`xeno-${"ab".repeat(12)}`);
  const uuid = domainUuid("mark", name);
  expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(domainUuid("mark", name)).toBe(uuid);
  expect([hasMark("mark", uuid), hasMark("other", uuid)]).toEqual([true, false]);
  expect(new Set([uuid, domainUuid("other", name), domainUuid("mark", "xeno-1")]).size).toBe(3);
});

it.each(["", "abc", "../../../etc", "ABCDEF0123", 'ab"cd01234'])("takes no lease's id but hex: %j", (lease) => {
  expect(() => domainName(lease)).toThrow("hex");
});
