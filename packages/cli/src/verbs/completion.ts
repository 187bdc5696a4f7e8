/** `xeno completion`: a bash completion that knows the verbs. */
import { print } from "../output/terminal.ts";

export function completion(verbs: readonly string[]): void {
  print('# eval "$(xeno completion)"', `complete -W "${verbs.join(" ")}" -o default xeno`);
}
