import { expect, it } from "vitest";
import { z } from "zod";
import { KINDS, schemaOf } from "./table.ts";

interface Node {
  type?: string;
  enum?: string[];
  const?: string;
  pattern?: string;
  allOf?: Node[];
  properties?: Record<string, Node>;
  propertyNames?: Node;
  additionalProperties?: Node | boolean;
  [key: string]: unknown;
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null;
/** Its own texts are base64 and the name of a kind, which every reader of it checks. */
const isEnvelope = ({ properties }: Node): boolean => properties !== undefined && "payloadType" in properties;
const patternsOf = ({ pattern, allOf = [] }: Node): string[] =>
  [pattern, ...allOf.map((each) => each.pattern)].flatMap((each) => each ?? []);

/** Where a text may hold what no database keeps: a text that holds no fixed word and no pattern that refuses a NUL. */
function loose(node: Node, path: string): string[] {
  if (isEnvelope(node)) return [];
  const isText = node.type === "string" && node.enum === undefined && node.const === undefined;
  const refuses = patternsOf(node).some((pattern) => !["\0", "a\0", "\0a", "a\0a"].some((text) => new RegExp(pattern, "u").test(text)));
  const below = Object.entries(node).flatMap(([key, value]) => (isNode(value) ? loose(value, `${path}.${key}`) : []));
  return [...(isText && !refuses ? [path] : []), ...below];
}

it.each(KINDS)("a %s holds no text that the broker's database would choke on", (kind) => {
  const schema = z.toJSONSchema(schemaOf(kind), { io: "input" });
  expect(loose(schema as Node, kind)).toEqual([]);
});

it("and the look at it finds a text without bounds", () => {
  const schema = z.toJSONSchema(z.strictObject({ a: z.array(z.string().max(3)), b: z.string().regex(/^[0-9]+$/) }), { io: "input" });
  expect(loose(schema as Node, "x")).toEqual(["x.properties.a.items"]);
});
