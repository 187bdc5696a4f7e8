/** What a machine could not be asked for: mostly its guest's or its server's word, and no fault of the page. */
import type { ReactNode } from "react";
import { MarketError } from "@xenoservers/sdk";
import { Problem } from "../problem.tsx";
import { said } from "../words.ts";

interface NotHadProps {
  error: unknown;
  what: string;
}

const LONGEST = 600;

export function NotHad({ error, what }: NotHadProps): ReactNode {
  if (error === null || error === undefined || error instanceof MarketError) return <Problem error={error} what={what} isRead />;
  return (
    <p className="problem" role="alert">
      <strong>{said(what)}:</strong> {said(error instanceof Error ? error.message : String(error), LONGEST)}
    </p>
  );
}
