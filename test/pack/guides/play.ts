/** A page as its reader goes through it, line by line. */
import { equal, match } from "node:assert/strict";
import { toldOn, type Told } from "./commands.ts";
import type { Guest } from "./guest.ts";
import type { Page, Place } from "./place.ts";

/** Words of the page by what stands for them here; the longest first, for one may be a part of another. */
async function meant(guest: Guest, { means }: Page, text: string): Promise<string> {
  let [rest, said] = [text, ""];
  const words = Object.keys(means).toSorted((a, b) => b.length - a.length);
  while (rest !== "") {
    const word = words.find((each) => rest.startsWith(each));
    const means_ = word === undefined ? undefined : means[word];
    said += word === undefined ? rest[0] : typeof means_ === "string" ? means_ : await means_!(guest);
    rest = rest.slice(word?.length ?? 1);
  }
  return said;
}

/** Throws what is not as the page says. */
async function step(guest: Guest, page: Page, { name, text }: Told, place: Place): Promise<void> {
  if ("left" in place) return;
  const command = await meant(guest, page, text);
  if ("with" in place) return place.with(guest, command);
  if (place.serves) guest.known.set(name, await guest.serves(command, place.serves));
  else {
    const said = await guest.types(command, place.answers);
    equal(said.code, 0, `${command}\n${said.text}`);
    if (place.says) match(said.text, place.says, `${command} does not say ${place.says} but:\n${said.text}`);
    guest.known.set(name, said.text);
  }
  await place.after?.(guest);
}

/** `onDone`: told of each line with the milliseconds that it took. */
export async function play(
  guest: Guest,
  file: string,
  page: Page,
  onDone: (name: string, ms: number) => boolean | void = () => {},
): Promise<void> {
  await guest.has(page.has);
  const told = toldOn(file);
  for (const [i, [, place]] of page.places.entries()) {
    const began = performance.now();
    if (told[i]!.block !== told[i - 1]?.block) await guest.opensTerminal();
    await step(guest, page, told[i]!, place);
    if (onDone(told[i]!.name, performance.now() - began) === false) return;
  }
}
