import { HOLDS } from "@xenoservers/market";
import { expect, it } from "vitest";
import { heldText } from "./held.ts";

it("says what holds guests in few words, whatever else an owner wrote", () => {
  expect(heldText(HOLDS)).toBe("all");
  expect(heldText([])).toBe("not said");
  expect(heldText(["\u001b[31mseccomp"])).toBe("not said");
  expect(heldText(["rlimits", "seccomp"])).toBe("seccomp, rlimits");
  expect(heldText(HOLDS.filter((hold) => hold !== "own-user"))).toBe("all but own-user");
});
