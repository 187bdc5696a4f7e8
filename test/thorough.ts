import { it } from "vitest";

/** XENO_THOROUGH=1, as .ci/run sets it, has the suites with generated cases try several times as many: more than a person waits for. */
export const isThorough = process.env["XENO_THOROUGH"] === "1";

/** How many cases: `here`, or `thorough`. */
export const cases = (here: number, thorough: number): number => (isThorough ? thorough : here);

/** A test that a person does not wait for: what it shows is shown in parts by others. */
export function thoroughly(title: string, test: () => Promise<void>): void {
  if (isThorough) it(title, test);
}
