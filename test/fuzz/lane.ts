/** The process of one lane (lanes.ts). */
import { watch, type Watched } from "./watch.ts";

// whoever began the run is gone: nobody would be told
process.once("disconnect", () => process.exit());
process.once("message", (watched: Watched) => {
  void watch(watched).then((tally) => process.send?.(tally, () => process.disconnect()));
});
