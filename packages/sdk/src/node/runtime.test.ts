import { expect, it } from "vitest";
import { assertRuntime } from "./runtime.ts";

it("is refused before anything is signed where it lacks what the library uses", () => {
  expect(() => assertRuntime()).not.toThrow();
  expect(() => assertRuntime({})).toThrow(
    expect.objectContaining({ code: "bad_input", message: expect.stringContaining("needs Node 22") }),
  );
});
