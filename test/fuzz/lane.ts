/** The process of one lane (lanes.ts). */
import { watch, type Watched } from "./watch.ts";

process.once("message", (watched: Watched) => {
  void watch(watched).then((tally) => process.send?.(tally, () => process.disconnect()));
});
