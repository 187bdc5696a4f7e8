import { expect, test } from "vitest";
import { consoleNodes, consoleOwners, guestDevice, offerNodes, parseOffer } from "./domain-consoles.ts";

test("each console has both its sides, a backend that keeps no kernel waiting, and goes with its domain", () => {
  const nodes = new Map(consoleNodes(7));
  expect(nodes.size).toBe(6 * 10);
  for (let place = 1; place <= 6; place++) {
    const [frontend, backend] = [`/local/domain/7/device/console/${place}`, `/local/domain/0/backend/console/7/${place}`];
    expect(nodes.get(`${frontend}/backend`)).toBe(backend);
    expect(nodes.get(`${backend}/frontend`)).toBe(frontend);
    expect(nodes.get(`${backend}/state`)).toBe("4");
    expect(nodes.get(`/libxl/7/device/console/${place}/frontend`)).toBe(frontend);
  }
  // a kernel names them in the order in which it finds them
  const order = [...nodes.keys()].flatMap((node) => /^\/local\/domain\/7\/device\/console\/(\d)\/state$/.exec(node)?.[1] ?? []);
  expect(order).toEqual(["1", "2", "3", "4", "5", "6"]);
  expect([guestDevice("control"), guestDevice("stdin"), guestDevice({ shell: 3 })]).toEqual(["/dev/hvc1", "/dev/hvc2", "/dev/hvc6"]);
});

test("a domain writes its own side alone", () => {
  expect(consoleOwners(7)).toEqual([
    ["/local/domain/0/backend/console/7", "n0", "r7"],
    ["/local/domain/7/device/console", "n7", "r0"],
  ]);
});

test.each([
  ["8\n27\n", { grant: 8, port: 27 }],
  ["4294967295\n0", { grant: 4_294_967_295, port: 0 }],
  ["", null],
  ["8\n", null],
  ["8\n27\n28\n", null],
  ["4294967296\n1\n", null],
  ["-1\n1\n", null],
  ["1; reboot\n1\n", null],
])("what a guest offers is two numbers or nothing: %j", (text, offer) => {
  expect(parseOffer(text)).toEqual(offer);
});

test("an offer is read where the guest's kernel writes it", () => {
  expect(offerNodes(7, "stdin")).toEqual(["/local/domain/7/device/console/2/ring-ref", "/local/domain/7/device/console/2/port"]);
});
