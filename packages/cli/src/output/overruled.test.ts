import { expect, it } from "vitest";
import { overruledText } from "./overruled.ts";

// flyctl 4261: logged in, and told to log in by whatever comes next, for a token stood in the environment
it.each([
  [{}, null],
  [{ XENO_TOKEN: "" }, null],
  [{ XENO_TOKEN: "xeno-ci-x" }, "XENO_TOKEN is set and goes before it: unset it to be who market is"],
  [{ XENO_CONTEXT: "other", XENO_TOKEN: "xeno-ci-x" }, "XENO_CONTEXT is set and goes before it: unset it to be who market is"],
  [{ XENO_CONTEXT: "market", XENO_TOKEN: "xeno-ci-x" }, null],
])("with %j says %s", (env, text) => {
  expect(overruledText("market", env)).toBe(text);
});
