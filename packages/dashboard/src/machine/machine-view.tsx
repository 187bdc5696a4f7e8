/** A lease's machine as it runs: its console, a shell in it, its ports. Who controls what is shown: the guest and its server. */
import { useEffect, useMemo, type ReactNode } from "react";
import type { LeaseState } from "@xenoservers/market";
import type { Access } from "../access.ts";
import type { Followed } from "../followed.ts";
import { ConsoleView } from "./console-view.tsx";
import { Hands, isThere } from "./hands.ts";
import { marketOf } from "./market.ts";
import { PortsView } from "./ports-view.tsx";
import { ScreenView } from "./screen-view.tsx";
import { ShellView } from "./shell-view.tsx";

interface MachineViewProps {
  access: Access;
  lease: string;
  followed: Followed;
  state: LeaseState;
}

export function MachineView({ access, lease, followed, state }: MachineViewProps): ReactNode {
  const isHeld = isThere(state);
  const hands = useMemo(() => (isHeld ? new Hands(marketOf(access), lease) : null), [access, lease, isHeld]);
  useEffect(() => () => hands?.close(), [hands]);
  return (
    <>
      <ConsoleView followed={followed} hands={hands} />
      {hands && (
        <>
          <p className="quiet">
            It runs on when this page is closed, and is paid for until it ends or you stop it; among your leases you find it again, with
            this console.
          </p>
          <ShellView hands={hands} />
          <ScreenView hands={hands} />
          <PortsView hands={hands} lease={lease} hasToken={access.kept.kind === "token"} />
        </>
      )}
    </>
  );
}
