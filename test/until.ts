/** How tests wait: for a condition, at any speed. Only what hangs meets the limit, and it is told which condition never held. */

/** Less than the runner's own limit on a test, which would not say what was waited for. */
const HANG_MS = 600_000;
/** Where one hung, what comes after it in its file often does so too. */
const AGAIN_MS = 60_000;
const LOOK_EVERY_MS = 20;

let hasHung = false;

/** `everyMs`: how often it is looked, where a look costs something; `hangsMs`: after which time it hangs. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  everyMs = LOOK_EVERY_MS,
  hangsMs = hasHung ? AGAIN_MS : HANG_MS,
): Promise<void> {
  for (const hangsAt = performance.now() + hangsMs; !(await condition());) {
    if (performance.now() > hangsAt) {
      hasHung = true;
      throw new Error(`this did not come to hold in ${hangsMs / 60_000} minutes: ${condition.toString()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
