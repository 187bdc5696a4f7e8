/** A machine's serial console: what it prints, as it comes, and what is typed there. Who controls what is shown: the guest. */
import { useCallback, useState, type ReactNode } from "react";
import type { Followed } from "../followed.ts";
import { feed } from "./console-feed.ts";
import type { Hands } from "./hands.ts";
import { NotHad } from "./not-had.tsx";
import { TerminalView, type Screen } from "./terminal-view.tsx";
import { typing } from "./typed.ts";

interface ConsoleProps {
  followed: Followed;
  /** Null: nobody may type. */
  hands: Hands | null;
}

export function ConsoleView({ followed, hands }: ConsoleProps): ReactNode {
  const [error, setError] = useState<unknown>(null);
  const fill = useCallback(
    (screen: Screen) => {
      const end = feed(followed, screen);
      screen.onTyped(typing(async (bytes) => (await hands?.machine())?.type(bytes), setError));
      return end;
    },
    [followed, hands],
  );
  return (
    <>
      <TerminalView label="Terminal of the console" isTyped={hands !== null} fill={fill} />
      <NotHad error={error} what="What you typed did not get there" />
    </>
  );
}
