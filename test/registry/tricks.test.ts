/** Registries on a bad day, played in this process; test/apt plays the same table with Debian's registry. */
import { it } from "vitest";
import { checkTrick } from "./fetched.ts";
import { testImage, upstreamOf } from "./proxy.ts";
import { TRICKS } from "./tricks.ts";

const image = testImage();

it.each(TRICKS)("$name", (row) => checkTrick(row, upstreamOf(image), image.layers));
