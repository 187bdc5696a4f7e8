/** What holds guests, by the owner's word, in few words. Who controls the input: the owner, through the broker. */
import { HOLDS } from "@xenoservers/market";

/** `all`, what is missing, or what there is: whichever is shortest. */
export function heldText(held: readonly string[]): string {
  const [there, missing] = [HOLDS.filter((hold) => held.includes(hold)), HOLDS.filter((hold) => !held.includes(hold))];
  if (missing.length === 0) return "all";
  if (there.length === 0) return "not said";
  return missing.length < there.length ? `all but ${missing.join(", ")}` : there.join(", ");
}
