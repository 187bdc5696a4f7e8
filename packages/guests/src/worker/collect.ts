/** Has V8 give back what nothing holds any more, at once: by itself it would wait until much more has come together. */
import { runInNewContext, setFlag } from "./of-node.ts";

let gc: (() => void) | null = null;

export function collect(): void {
  if (gc === null) {
    setFlag("--expose-gc");
    gc = runInNewContext("gc") as () => void;
  }
  gc();
}
