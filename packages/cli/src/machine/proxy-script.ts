/** What ssh runs to reach a machine: ssh splits and fills in what it is given, and takes the name of a file as it is. */
import { shellWord } from "@xenoservers/sdk";

export function proxyScript(windows: boolean, words: readonly string[]): { name: string; text: string } {
  if (!windows) return { name: "proxy", text: `#!/bin/sh\nexec ${words.map(shellWord).join(" ")}\n` };
  // no file's name has a quotation mark there; what stands between two percent signs would be a variable
  return { name: "proxy.cmd", text: `@${words.map((word) => `"${word.replaceAll("%", "%%")}"`).join(" ")}\r\n` };
}
