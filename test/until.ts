/** How tests wait: for a condition, at any speed. Only what hangs meets the limit, and it is told which condition never held. */

/** Less than the runner's own limit on a test, which would not say what was waited for. */
const HANG_MS = 600_000;
const LOOK_EVERY_MS = 20;

/** `everyMs`: how often it is looked, where a look costs something; `hangsMs`: after which time it hangs. */
export async function until(condition: () => boolean | Promise<boolean>, everyMs = LOOK_EVERY_MS, hangsMs = HANG_MS): Promise<void> {
  for (const hangsAt = performance.now() + hangsMs; !(await condition());) {
    if (performance.now() > hangsAt) throw new Error(`this did not come to hold in ${hangsMs / 60_000} minutes: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
