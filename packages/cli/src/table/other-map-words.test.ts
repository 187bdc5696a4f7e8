/** Options of other tools lead to options that `xeno map` has, and are none of its own. */
import { Command } from "commander";
import { expect, it } from "vitest";
import { mapInput } from "../input/verbs/map.ts";
import { OTHER_MAP_WORDS } from "./other-map-words.ts";

const command = new Command("map");
mapInput.declare(command);
const own = new Set(command.options.flatMap(({ long, short }) => [long, short]));

it.each([...OTHER_MAP_WORDS])("%s: %s", (word, says) => {
  expect(own.has(word)).toBe(false);
  for (const [option] of says.matchAll(/(?<![\w-])--?[A-Za-z][\w-]*/g)) expect(own).toContain(option);
});
