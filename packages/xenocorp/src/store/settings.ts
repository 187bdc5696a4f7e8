/**
 * What a market has one of and that is no table of its own: rows of kind `setting`, each read by its shape and empty where it is absent.
 */
import { z } from "zod";

const SHAPES = {
  witnesses: z.array(z.object({ name: z.string(), key: z.string() })).default([]),
  /** What the operator has said of each, in the log's order; log times in milliseconds. */
  referees: z.array(z.object({ server: z.string(), active: z.boolean(), at: z.number() })).default([]),
  /** In which no broker heard; log times in milliseconds. */
  gaps: z.array(z.object({ id: z.string(), from: z.number(), to: z.number() })).default([]),
  /** Rounds of audits that are open or not shown yet, in their order; log times in milliseconds, `to` null while it is open. */
  auditRounds: z
    .array(
      z.object({ id: z.string(), round: z.number(), from: z.number(), until: z.number(), to: z.number().nullable(), epoch: z.string() }),
    )
    .default([]),
  /** Of one round: the document that shows its secret. */
  auditReveal: z.string().nullable().default(null),
  /** Of one reference of the operator's: the credit that was booked under it. */
  credited: z.object({ document: z.string(), party: z.string(), amountNanos: z.string(), source: z.string() }).nullable().default(null),
  /** The newest checkpoint that a witness has cosigned. */
  cosigned: z.object({ origin: z.string(), size: z.number(), note: z.string() }).nullable().default(null),
};

type SettingName = keyof typeof SHAPES;
export type Setting<N extends SettingName> = z.output<(typeof SHAPES)[N]>;

/** The value of a row, as the store gave it; throws a ZodError where the database holds something else. */
export function readSetting<N extends SettingName>(name: N, row: { data: { value: unknown } } | null | undefined): Setting<N> {
  return SHAPES[name].parse(row?.data.value) as Setting<N>;
}
