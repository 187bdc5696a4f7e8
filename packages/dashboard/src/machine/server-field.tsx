/** On which of the servers that offer machines now. Who controls what is shown: owners (their offers), the broker. */
import { useId, useState, type ReactNode } from "react";
import { DRIVERS, MACHINE_DRIVERS, type MachineDriver } from "@xenoservers/market";
import type { OfferView } from "@xenoservers/protocol";
import { shortId } from "@xenoservers/sdk";
import { Unread } from "../problem.tsx";
import { readPublic } from "../public-reads.ts";
import { useReading } from "../use-reading.ts";
import { mebibytes, money, said } from "../words.ts";
import { choiceOf, chosenIn } from "./machine-input.ts";

const EVERY_MS = 30_000;
const SHOWN_MAX = 50;

interface Offered {
  driver: MachineDriver;
  offers: readonly OfferView[];
}

/** Of each driver that anybody has on offer, the cheapest. */
async function machinesOffered(signal: AbortSignal): Promise<Offered[]> {
  const reads = MACHINE_DRIVERS.map(async (driver) => {
    const { offers } = await readPublic("offers", { driver, terms: "by-interval", order: "price", limit: SHOWN_MAX }, signal);
    return { driver, offers };
  });
  return (await Promise.all(reads)).filter(({ offers }) => offers.length > 0);
}

export function offerText({ server, priceNanosPerHour, free, accel, record }: OfferView, currency: string): string {
  const { vcpu, memoryMib, diskMib } = free;
  const room = `${vcpu} free, ${mebibytes(memoryMib)}, disk ${mebibytes(diskMib)}`;
  const known = record.leases === 0 ? "new" : `${record.completed} of ${record.leases} done`;
  const how = accel === "kvm" || accel === "" ? [] : [`${said(accel, 20)}: slow`];
  return [said(shortId(server), 20), `${money(priceNanosPerHour, currency)} an hour`, room, ...how, known].join(" · ");
}

interface ChoicesProps {
  id: string;
  /** Null: it is not known yet. */
  offered: readonly Offered[] | null;
  /** Empty: nothing was chosen. */
  chosen: string;
  choose(choice: string): void;
  currency: string;
}

/** What was chosen stays chosen where its server has no room any more: else another would be asked in its place, unsaid. */
export function Choices({ id, offered, chosen, choose, currency }: ChoicesProps): ReactNode {
  const drivers = offered?.map(({ driver }) => driver) ?? [];
  const cheapest = drivers.length > 0 ? drivers : MACHINE_DRIVERS.slice(0, 1);
  const all = [
    ...cheapest.map((driver) => choiceOf(driver, "")),
    ...(offered ?? []).flatMap(({ driver, offers }) => offers.map((offer) => choiceOf(driver, offer.server))),
  ];
  const { driver: chosenDriver, server: chosenServer } = chosenIn(chosen);
  return (
    <select id={id} name="server" value={chosen === "" ? all[0] : chosen} onChange={({ target }) => choose(target.value)}>
      {cheapest.map((driver) => (
        <option key={driver} value={choiceOf(driver, "")}>
          the cheapest that fits{drivers.length > 1 && `, for ${DRIVERS[driver].guest}`}
        </option>
      ))}
      {chosen !== "" && !all.includes(chosen) && (
        <option value={chosen}>
          {chosenServer === "" ? `the cheapest that fits, for ${DRIVERS[chosenDriver].guest}` : said(shortId(chosenServer), 20)} · no room
          now
        </option>
      )}
      {offered?.map(({ driver, offers }) => (
        <optgroup key={driver} label={`with room now, for ${DRIVERS[driver].guest}`}>
          {offers.map((offer) => (
            <option key={offer.offerId} value={choiceOf(driver, offer.server)}>
              {offerText(offer, currency)}
            </option>
          ))}
        </optgroup>
      ))}
    </select>
  );
}

export function ServerField({ currency }: { currency: string }): ReactNode {
  const [server, emulated] = [useId(), useId()];
  const [chosen, setChosen] = useState("");
  const reading = useReading(machinesOffered, EVERY_MS);
  const { value: offered } = reading;
  return (
    <div className="field wide-field">
      <label htmlFor={server}>Server</label>
      <Choices {...{ id: server, offered, chosen, choose: setChosen, currency }} />
      {offered?.length === 0 && (
        <p className="warn" role="status">
          No server has room for machines now.
        </p>
      )}
      <Unread reading={reading} what="Servers cannot be read" />
      <p className="check">
        <input id={emulated} name="emulated" type="checkbox" />
        <label htmlFor={emulated}>Also a server that has no virtualisation and emulates the machine, many times slower</label>
      </p>
    </div>
  );
}
