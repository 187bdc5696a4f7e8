/** What an agent may call, as data: a name, words for the agent, a schema of what it takes, and what it does. */
import type { z } from "zod";
import { UserError } from "../output/ui.ts";
import { asMeant } from "./as-meant.ts";
import type { AgentSession } from "./agent-session.ts";
import type { Progress } from "./progress.ts";

/** One call. */
export interface Call {
  session: AgentSession;
  /** Fires when the agent does not want the answer any more, or has gone. */
  signal: AbortSignal;
  /** What is known of money so far: said with an error that comes after it. */
  money: { effect: string };
  /** Tells the agent what the call is at. */
  progress: Pick<Progress, "says">;
}

export interface Tool {
  name: string;
  title: string;
  says: string;
  /** It changes nothing anywhere. */
  looks: boolean;
  schema: z.ZodType;
  /** Throws UserError where the input is not what the tool takes. */
  call(input: unknown, call: Call): Promise<Record<string, unknown>>;
}

interface Wanted<S extends z.ZodType> extends Pick<Tool, "name" | "title" | "says" | "looks"> {
  schema: S;
  run(input: z.output<S>, call: Call): Promise<Record<string, unknown>>;
}

const NOTHING = "nothing was ordered, nothing is charged";
/** Of every call at its beginning. */
export const startMoney = (): Call["money"] => ({ effect: NOTHING });

/** What is wrong with an input, in words; the first thing alone. */
function inputProblem(name: string, { issues: [first] }: z.ZodError): string {
  const at = first?.path.join(".") ?? "";
  if (first?.code === "unrecognized_keys") return `${name} takes nothing called ${first.keys.map((key) => `'${key}'`).join(", ")}`;
  if (first?.code === "invalid_type" && first.input === undefined) return `${name} needs ${at === "" ? "an object" : `'${at}'`}`;
  if (first?.code === "invalid_type") return `'${at}' of ${name} must be of the type ${first.expected}`;
  if (first?.code === "too_big") return `'${at}' of ${name} is too large: at most ${first.maximum}`;
  if (first?.code === "too_small") return `'${at}' of ${name} is too small: at least ${first.minimum}`;
  const isOurs = first?.code === "custom" || first?.code === "invalid_format";
  return `'${at}' of ${name} is not right: ${isOurs ? first.message : "its tool list says what it takes"}`;
}

/** Text within text at most: a list in a text, of which one is a number. */
const MEANT_TIMES = 2;

function parsedAsMeant<S extends z.ZodType>(schema: S, input: unknown): z.ZodSafeParseResult<z.output<S>> {
  let parsed = schema.safeParse(input, { reportInput: true });
  for (let times = 0; times < MEANT_TIMES && !parsed.success; times++) {
    input = asMeant(input, parsed.error.issues);
    parsed = schema.safeParse(input, { reportInput: true });
  }
  return parsed;
}

export const tool = <S extends z.ZodType>({ run, schema, ...named }: Wanted<S>): Tool => ({
  ...named,
  schema,
  async call(input, call) {
    const parsed = parsedAsMeant(schema, input ?? {});
    if (!parsed.success) throw new UserError(inputProblem(named.name, parsed.error));
    return run(parsed.data, call);
  },
});
