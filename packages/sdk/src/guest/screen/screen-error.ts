/** What came is no screen, or no viewer: in words. */
export class ScreenError extends Error {
  override name = "ScreenError";
}
