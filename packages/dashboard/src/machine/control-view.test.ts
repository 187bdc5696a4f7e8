/** What a machine can be asked for, as it stands. */
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import type { Standing } from "../followed.ts";
import { ControlView } from "./control-view.tsx";
import type { Hands } from "./hands.ts";

it.each([
  [false, ["Pause", "Restart", "Take a snapshot"]],
  [true, ["Resume", "Take a snapshot"]],
])("of one of which it is said that it is paused: %s", (isPaused, buttons) => {
  const followed = { standing: () => ({ isPaused }) as Standing, subscribe: () => () => {} };
  const html = renderToStaticMarkup(
    createElement(ControlView, { hands: {} as Hands, followed, ratePerHourNanos: "0", currency: "credits", maySpend: false }),
  );
  expect([...html.matchAll(/<button[^>]*>([^<]*)</g)].map(([, name]) => name)).toEqual(buttons);
});
