/** How far what is to boot has been read, which can be called off. Who controls what is shown: whoever chose the file (its name). */
import type { ReactNode } from "react";
import { progressText, type Read } from "./reading.ts";

interface ReadProps {
  read: Read;
  callOff(): void;
  /** What is done with it. */
  verb?: string;
}

export function ReadView({ read, callOff, verb = "Reading" }: ReadProps): ReactNode {
  const { bytes, bytesInAll } = read;
  return (
    <div className="reading">
      <progress aria-label="How far it is" {...(bytesInAll === null ? {} : { value: bytes, max: Math.max(bytesInAll, 1) })} />
      <p className="quiet">{progressText(read, verb)}</p>
      <button type="button" className="small" onClick={callOff}>
        Call it off
      </button>
    </div>
  );
}
