/**
 * What is asked of a machine as a whole: to pause, resume and restart; to be kept as it is; to go on several times. Who controls what is
 * shown: its server (answers).
 */
import { useId, useState, useSyncExternalStore, type ReactNode, type SubmitEvent } from "react";
import { InputError, WORK_DEFAULTS, shortId } from "@xenoservers/sdk";
import type { Machine } from "@xenoservers/sdk/machines";
import type { Followed } from "../followed.ts";
import { linkToLease } from "../place.ts";
import { countOf, money, said, when } from "../words.ts";
import type { Hands } from "./hands.ts";
import { NotHad } from "./not-had.tsx";

const FORKS_MAX = 64;

const BUTTONS = {
  pause: ["Pause", "It stands still, stays reserved and is paid for."],
  resume: ["Resume", "It goes on."],
  reboot: ["Restart", "It starts again."],
} as const;
type Button = keyof typeof BUTTONS;

export function countIn(text: string): number {
  const count = Number(text);
  if (!/^\d{1,2}$/.test(text.trim()) || count < 1 || count > FORKS_MAX) throw new InputError(`forks are a number from 1 to ${FORKS_MAX}`);
  return count;
}

interface ForkProps {
  isBusy: boolean;
  fork(data: FormData): void;
  rate: string;
  currency: string;
}

function ForkForm({ isBusy, fork, rate, currency }: ForkProps): ReactNode {
  const ids = [useId(), useId(), useId()] as const;
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    fork(new FormData(event.currentTarget));
  };
  return (
    <details>
      <summary>Forks: leases that go on from where it is</summary>
      <form aria-label="Forks" onSubmit={submit}>
        <label htmlFor={ids[0]}>
          How many
          <input id={ids[0]} name="count" inputMode="numeric" defaultValue="1" maxLength={2} size={4} required autoComplete="off" />
        </label>
        <label htmlFor={ids[1]}>
          Longest time of each
          <input id={ids[1]} name="maxTime" defaultValue={WORK_DEFAULTS.maxTime} size={8} required autoComplete="off" />
        </label>
        <label htmlFor={ids[2]}>
          Budget of each, in {said(currency, 20)}
          <input id={ids[2]} name="budget" inputMode="decimal" defaultValue={WORK_DEFAULTS.budget} size={8} required autoComplete="off" />
        </label>
        <button type="submit" disabled={isBusy}>
          Fork it
        </button>
      </form>
      <p className="quiet">
        Each is a lease of its own on the same server, by the second that it runs: {rate} an hour for this one; its server may ask another
        price by now. No fork costs more than its budget, and what is held for it and not used comes back.
      </p>
    </details>
  );
}

/** What it can be asked for as it stands. */
export const buttonsOf = (isPaused: boolean): readonly Button[] => (isPaused ? ["resume"] : ["pause", "reboot"]);

interface ControlProps {
  hands: Hands;
  followed: Pick<Followed, "standing" | "subscribe">;
  /** Of this lease. */
  ratePerHourNanos: string;
  currency: string;
  /** This key may order. */
  maySpend: boolean;
}

export function ControlView({ hands, followed, ratePerHourNanos, currency, maySpend }: ControlProps): ReactNode {
  const { isPaused } = useSyncExternalStore(followed.subscribe, followed.standing, followed.standing);
  const [isBusy, setIsBusy] = useState(false);
  const [done, setDone] = useState("");
  const [forks, setForks] = useState<readonly string[]>([]);
  const [error, setError] = useState<unknown>(null);
  const doing = (work: (machine: Machine) => Promise<string>): void => {
    setIsBusy(true);
    setError(null);
    setDone("");
    void hands
      .machine()
      .then(work)
      .then(setDone, setError)
      .finally(() => setIsBusy(false));
  };
  const press = (button: Button): void =>
    doing(async (machine) => {
      await machine[button]();
      return BUTTONS[button][1];
    });
  const snapshot = (): void =>
    doing(async (machine) => {
      const { snapshot: id, until } = await machine.snapshot();
      return `Snapshot ${shortId(id)}: its memory and disk are kept on the server until ${when(until)}.`;
    });
  const fork = (data: FormData): void =>
    doing(async (machine) => {
      const text = (name: string): string => String(data.get(name) ?? "").trim();
      const onFork = (lease: string): void => setForks((before) => [...before, lease]);
      const begun = await machine.fork({ count: countIn(text("count")), maxTime: text("maxTime"), budget: text("budget"), onFork });
      return `${countOf(begun.length, "fork")} ${begun.length === 1 ? "goes" : "go"} on from where it was.`;
    });
  return (
    <section aria-labelledby="control">
      <h3 id="control">Machine</h3>
      <p className="buttons">
        {buttonsOf(isPaused).map((each) => (
          <button key={each} type="button" disabled={isBusy} onClick={() => press(each)}>
            {BUTTONS[each][0]}
          </button>
        ))}
        <button type="button" disabled={isBusy} onClick={snapshot}>
          Take a snapshot
        </button>
      </p>
      {isBusy && (
        <p className="quiet" role="status">
          Its server was asked…
        </p>
      )}
      {done !== "" && <p role="status">{done}</p>}
      <NotHad error={error} what="It was not done" />
      {forks.length > 0 && (
        <ul aria-label="Forks">
          {forks.map((lease) => (
            <li key={lease}>
              <a href={linkToLease(lease)}>
                lease <code>{shortId(lease)}</code>
              </a>
            </li>
          ))}
        </ul>
      )}
      {maySpend && <ForkForm {...{ isBusy, fork, currency }} rate={money(ratePerHourNanos, currency)} />}
    </section>
  );
}
