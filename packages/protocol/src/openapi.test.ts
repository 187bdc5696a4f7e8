/** The points of redocly's recommended rules that this document once failed; `.ci/run` has redocly itself look. */
import { expect, it } from "vitest";
import { z } from "zod";
import { API } from "./api.ts";
import { openApi } from "./openapi.ts";

const zOperation = z.object({
  operationId: z.string(),
  summary: z.string().min(1),
  parameters: z.array(z.object({ name: z.string(), in: z.enum(["path", "query"]), required: z.boolean() })),
  security: z.array(z.unknown()),
  responses: z.record(z.string(), z.object({ description: z.string().min(1) })),
});
const zDocument = z.object({
  openapi: z.literal("3.1.0"),
  info: z.object({ license: z.object({ identifier: z.string() }) }),
  servers: z.array(z.object({ url: z.string().min(1) })).min(1),
  paths: z.record(z.string(), z.record(z.string(), zOperation)),
});

const { paths } = zDocument.parse(openApi("0.1.0"));
const operations = Object.entries(paths).flatMap(([path, methods]) => Object.values(methods).map((each) => ({ path, ...each })));

it("has each route of the table once", () => {
  expect(operations.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(API).sort());
});

it.each(operations)("$operationId names what its path holds, and how it is refused", ({ path, parameters, responses }) => {
  const inPath = parameters.filter((each) => each.in === "path");
  expect(inPath.map(({ name }) => name).sort()).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort());
  expect(path).not.toMatch(/[:*]/);
  expect(Object.keys(responses).filter((status) => /^4\d\d$/.test(status))).not.toEqual([]);
});
