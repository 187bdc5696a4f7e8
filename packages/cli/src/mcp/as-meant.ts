/**
 * Inputs as agents write them, where what they mean is beyond doubt: 5 for "5", "2" for 2, null for what is left out, a list or an object
 * as the text of its JSON. Who controls the input: the agent, every field.
 */
import type { z } from "zod";

/** What is put in place of a value; undefined: it is left out. Null: nobody can tell what it means. */
type Instead = { value: unknown } | null;

const jsonIn = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};

function insteadOf({ code, input, ...issue }: z.core.$ZodIssue): Instead {
  if (code !== "invalid_type" || !("expected" in issue)) return null;
  if (input === null) return { value: undefined };
  switch (issue.expected) {
    case "string":
      return typeof input === "number" ? { value: String(input) } : null;
    case "number":
    case "int":
      return typeof input === "string" && /^\d{1,15}$/.test(input) ? { value: Number(input) } : null;
    case "boolean":
      return input === "true" || input === "false" ? { value: input === "true" } : null;
    case "array":
    case "record":
    case "object": {
      const value = typeof input === "string" ? jsonIn(input) : null;
      return typeof value === "object" && value !== null ? { value } : null;
    }
    default:
      return null;
  }
}

/** The folder of a value by its path; null where there is none. */
function holderOf(input: unknown, path: readonly PropertyKey[]): object | null {
  let at = input;
  for (const key of path.slice(0, -1)) at = typeof at === "object" && at !== null ? Reflect.get(at, key) : null;
  return typeof at === "object" ? at : null;
}

/** The same input with what `issues` say is of another type as it is meant. */
export function asMeant(input: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const meant: unknown = structuredClone(input);
  for (const issue of issues) {
    const [instead, holder, key] = [insteadOf(issue), holderOf(meant, issue.path), issue.path.at(-1)];
    if (instead === null || holder === null || key === undefined) continue;
    if (instead.value === undefined) Reflect.deleteProperty(holder, key);
    else Reflect.set(holder, key, instead.value);
  }
  return meant;
}
