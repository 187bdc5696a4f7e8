/** The API table as OpenAPI 3.1, for programs in other languages. */
import * as z from "zod/mini";
import { API, type Route, type RouteName } from "./api.ts";
import { API_WORDS } from "./api-words.ts";
import { ERROR_CODES } from "./errors.ts";

const schemaOf = (type: z.ZodMiniType): unknown => z.toJSONSchema(type, { io: "input", unrepresentable: "any" });

/** The router's `*` stands for the rest of a path; OpenAPI has names only. */
const REST = "*";
const nameOf = (key: string): string => (key === REST ? "rest" : key);
const pathOf = (path: string): string => path.replace(/:(\w+)/g, "{$1}").replace(REST, `{${nameOf(REST)}}`);

const parametersOf = (route: Route): unknown[] =>
  (["params", "query"] as const).flatMap((where) =>
    Object.entries(route[where]?.shape ?? {}).map(([key, type]) => ({
      name: nameOf(key),
      in: where === "params" ? "path" : "query",
      required: where === "params" || !type.safeParse(undefined).success,
      schema: schemaOf(type),
    })),
  );

function bodyOf(route: Route): object {
  if (route.rawBody) return { requestBody: { required: true, content: { "application/octet-stream": {} } } };
  return route.body ? { requestBody: { required: true, content: { "application/json": { schema: schemaOf(route.body) } } } } : {};
}

/** By HTTP status: what it is done with, and which codes it is refused with. */
function responsesOf(name: RouteName, route: Route): Record<string, unknown> {
  const content = route.raw
    ? { [route.raw === "text" ? "text/plain" : "application/octet-stream"]: {} }
    : { "application/json": { schema: schemaOf(route.reply) } };
  const responses: Record<string, unknown> = { "200": { description: "done", content } };
  const refusal = { "application/json": { schema: { $ref: "#/components/schemas/Refusal" } } };
  for (const [status, codes] of Map.groupBy(API_WORDS[name].refusals, (code) => ERROR_CODES[code].status))
    responses[status] = { description: `refused: ${codes.join(", ")}`, content: refusal };
  return { ...responses, default: { description: "refused", content: refusal } };
}

const REFUSAL = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "says", "blame", "retryable"],
      properties: {
        ...{ code: { type: "string" }, says: { type: "string" }, blame: { type: "string" }, retryable: { type: "boolean" } },
        requestId: { type: "string", description: "as in the answer's header x-request-id: by it the operator finds the request" },
      },
    },
  },
};

export function openApi(version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of Object.entries<Route>(API) as [RouteName, Route][])
    (paths[pathOf(route.path)] ??= {})[route.method.toLowerCase()] = {
      operationId: name,
      summary: API_WORDS[name].summary,
      parameters: parametersOf(route),
      ...bodyOf(route),
      security: route.access === "public" ? [] : [{ session: [] }],
      responses: responsesOf(name, route),
    };
  return {
    openapi: "3.1.0",
    info: { title: "Xenoservers broker", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    servers: [{ url: "/", description: "the broker that serves this document" }],
    paths,
    components: { schemas: { Refusal: REFUSAL }, securitySchemes: { session: { type: "http", scheme: "bearer" } } },
  };
}
