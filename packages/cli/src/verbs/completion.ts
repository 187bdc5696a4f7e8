/** `xeno completion`: a bash completion that knows the verbs. */
import { print } from "../output/ui.ts";

export function completion(verbs: readonly string[]): void {
  print(`# eval "$(xeno completion)"\ncomplete -W "${verbs.join(" ")}" -o default xeno`);
}
