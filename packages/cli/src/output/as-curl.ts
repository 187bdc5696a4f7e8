/** `--curl`: each call of the market's API as curl makes it. A session's token is a secret, and stands there by a variable's name. */
import { shellWord } from "@xenoservers/sdk";
import { watchCalls } from "../input/client.ts";
import { dim, say } from "./terminal.ts";

export function showCalls(): void {
  watchCalls(({ method, url, body, asCaller }) => {
    const words = [
      ...["curl", ...(method === "GET" ? [] : ["-X", method]), shellWord(url)],
      ...(asCaller ? ['-H "authorization: Bearer $XENO_SESSION"'] : []),
      ...(body === null ? [] : ["-H 'content-type: application/json'", "-d", shellWord(body)]),
    ];
    say(dim(words.join(" ")));
  });
}
