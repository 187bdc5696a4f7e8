/** On which server: what was chosen, however the list of those with room changes. */
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import type { OfferView } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { choiceOf } from "./machine-input.ts";
import { Choices } from "./server-field.tsx";

const offerOf = (server: string): OfferView =>
  ({
    ...{ server, offerId: server, priceNanosPerHour: "1", accel: "kvm", record: { leases: 0, completed: 0 } },
    free: { vcpu: 1, memoryMib: 1, diskMib: 1 },
  }) as unknown as OfferView;

/** What is selected, and all that there is to choose. */
function choices(chosen: string, ...servers: string[]) {
  const offered = servers.length === 0 ? [] : [{ driver: "qemu" as const, offers: servers.map(offerOf) }];
  const html = renderToStaticMarkup(createElement(Choices, { id: "s", offered, chosen, choose: () => {}, currency: "USD" }));
  const options = [...html.matchAll(/<option value="([^"]*)"( selected="")?>([^<]*)/g)];
  return { selected: options.filter(([, , is]) => is).map(([, value, , text]) => [value, text]), all: options.map(([, value]) => value) };
}

it("is the cheapest, unless one is chosen", () => {
  expect(choices("", "s_one", "s_two").selected).toEqual([["qemu ", "the cheapest that fits"]]);
  expect(choices(choiceOf("qemu", "s_two"), "s_one", "s_two")).toMatchObject({
    selected: [["qemu s_two", expect.stringContaining("s_two")]],
    all: ["qemu ", "qemu s_one", "qemu s_two"],
  });
});

it("stays the one that was chosen where that has no room any more, and says so", () => {
  expect(choices(choiceOf("qemu", "s_two"), "s_one").selected).toEqual([["qemu s_two", "s_two · no room now"]]);
  expect(choices(choiceOf("xen", ""), "s_one").selected).toEqual([["xen ", expect.stringContaining("no room now")]]);
});
