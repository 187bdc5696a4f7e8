/** Has V8 give back what nothing holds any more, at once: by itself it would wait until much more has come together. */
import { setFlagsFromString } from "node:v8";
import vm from "node:vm";

let gc: (() => void) | null = null;

export function collect(): void {
  if (gc === null) {
    setFlagsFromString("--expose-gc");
    gc = vm.runInNewContext("gc") as () => void;
  }
  gc();
}
