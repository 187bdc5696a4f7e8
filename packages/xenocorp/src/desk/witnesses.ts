/** Witnesses of the log: whom the operator names. Who counts for a customer is what it pinned itself. */
import { refuse, type Verified } from "@xenoservers/protocol";
import { WITNESSES } from "../log/cosigned.ts";
import { readSetting } from "../store/settings.ts";
import { planned, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const WITNESSES_MAX = 16;

export async function nameWitness(round: Round, document: Verified<"witness">): Promise<Outcome> {
  const { name, key, active, clientId } = document.payload;
  const row = await round.get("setting", WITNESSES);
  const others = readSetting("witnesses", row).filter((witness) => witness.key !== key && witness.name !== name);
  if (active && others.length >= WITNESSES_MAX) return refuse("limit_reached", { witnesses: WITNESSES_MAX });
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [] }],
    uniques: [`operator/${clientId}`],
    puts: [
      {
        kind: "setting",
        id: WITNESSES,
        expect: row?.version ?? 0,
        data: { id: WITNESSES, value: active ? [...others, { name, key }] : others },
      },
    ],
  });
}
