/**
 * A lease's machine as it runs: its console, a shell in it, its files, screen and ports, and what is asked of it as a whole. Who controls
 * what is shown: the guest and its server.
 */
import { useEffect, useMemo, type ReactNode } from "react";
import type { LeaseView } from "@xenoservers/protocol";
import type { Access } from "../access.ts";
import type { Followed } from "../followed.ts";
import { ConsoleView } from "./console-view.tsx";
import { ControlView } from "./control-view.tsx";
import { FilesView } from "./files-view.tsx";
import { Hands, isThere } from "./hands.ts";
import { marketOf } from "./market.ts";
import { PortsView } from "./ports-view.tsx";
import { ScreenView } from "./screen-view.tsx";
import { ShellView } from "./shell-view.tsx";

interface MachineViewProps {
  access: Access;
  lease: Pick<LeaseView, "id" | "state" | "ratePerHourNanos">;
  followed: Followed;
  currency: string;
}

export function MachineView({ access, lease: { id, state, ratePerHourNanos }, followed, currency }: MachineViewProps): ReactNode {
  const isHeld = isThere(state);
  const hands = useMemo(() => (isHeld ? new Hands(marketOf(access), id) : null), [access, id, isHeld]);
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
          <FilesView hands={hands} />
          <ScreenView hands={hands} />
          <PortsView hands={hands} lease={id} hasToken={access.kept.kind === "token"} />
          <ControlView {...{ hands, followed, ratePerHourNanos, currency }} maySpend={access.may("spend")} />
        </>
      )}
    </>
  );
}
