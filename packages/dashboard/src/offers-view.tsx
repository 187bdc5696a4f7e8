/** What is on offer, searched with conditions as `xeno search` takes them. */
import { memo, useCallback, useState, type ReactNode, type SubmitEvent } from "react";
import { DRIVERS, DRIVER_NAMES, type Driver } from "@xenoservers/market";
import type { OfferView, RouteReply } from "@xenoservers/protocol";
import { conditionsIn } from "@xenoservers/sdk";
import { Id, Table } from "./parts.tsx";
import { Problem, Unread, Waiting } from "./problem.tsx";
import { readPublic } from "./public-reads.ts";
import { useReading } from "./use-reading.ts";
import { mebibytes, money, said } from "./words.ts";

const EVERY_MS = 10_000;
const SHOWN_MAX = 100;
const HEADS = ["server", "price an hour", "free", "runs", "assurance", "score", "labels", "record"] as const;

interface Asked {
  q: string;
  driver: Driver;
  order: "price" | "cost-per-work";
}

/** The owner's, as the books have it. */
function recordText({ leases, completed, ownerFailures, missed, convicted }: OfferView["record"]): string {
  if (leases === 0) return "new";
  const faults = [
    [ownerFailures, "failed"],
    [missed, "missed"],
    [convicted, "convicted"],
  ] as const;
  return [`${completed} of ${leases} done`, ...faults.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : []))].join(", ");
}

const Row = memo(function Row({ offer, currency }: { offer: OfferView; currency: string }): ReactNode {
  const { server, free, drivers, assurances, labels, record, cpuScore } = offer;
  const isBlemished = record.convicted > 0 || record.ownerFailures > record.completed;
  return (
    <tr>
      <td>
        <Id of={server} />
      </td>
      <td className="number">{money(offer.priceNanosPerHour, currency)}</td>
      <td>
        {free.vcpu} vCPU, {mebibytes(free.memoryMib)}, disk {mebibytes(free.diskMib)}
      </td>
      <td>{said(drivers.join(", "))}</td>
      <td>{said(assurances.join(", "))}</td>
      <td className="number">{cpuScore}</td>
      <td>
        {said(
          Object.entries(labels)
            .map(([name, value]) => `${name}=${value}`)
            .join(" "),
        )}
      </td>
      <td className={isBlemished ? "bad" : ""}>{recordText(record)}</td>
    </tr>
  );
});

export function OffersTable({ offers, currency }: { offers: readonly OfferView[]; currency: string }): ReactNode {
  return (
    <Table label="Servers with room now" heads={HEADS}>
      {offers.map((offer) => (
        <Row key={offer.offerId} offer={offer} currency={currency} />
      ))}
    </Table>
  );
}

function SearchForm({ search }: { search(asked: Asked): void }): ReactNode {
  const [problem, setProblem] = useState<unknown>(null);
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const text = (name: string): string => String(data.get(name) ?? "");
    const driver = DRIVER_NAMES.find((each) => each === text("driver")) ?? DRIVER_NAMES[0];
    try {
      conditionsIn(text("q"), "");
      setProblem(null);
      search({ q: text("q"), driver, order: text("order") === "cost-per-work" ? "cost-per-work" : "price" });
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <form role="search" aria-label="Offers" onSubmit={submit}>
      <label className="grow">
        Conditions
        <input name="q" placeholder="cpu>=2 mem>=4G region=eu" autoComplete="off" spellCheck={false} />
      </label>
      <label>
        Runs
        <select name="driver">
          {DRIVER_NAMES.map((driver) => (
            <option key={driver}>{driver}</option>
          ))}
        </select>
      </label>
      <label>
        Order
        <select name="order">
          <option value="price">price</option>
          <option value="cost-per-work">cost per work</option>
        </select>
      </label>
      <button type="submit">Search</button>
      <Problem error={problem} what="These conditions cannot be read" />
    </form>
  );
}

/** Why nothing fits, where nothing does. */
function Empty({ found: { explanation, excluded } }: { found: RouteReply<"offers"> }): ReactNode {
  const left = Object.entries(excluded).map(([why, count]) => `${count} by ${said(why, 60)}`);
  return (
    <p>
      No server fits now: {said(explanation)}
      {left.length > 0 && ` (left out: ${left.join(", ")})`}
    </p>
  );
}

export function OffersView({ currency }: { currency: string }): ReactNode {
  const [asked, setAsked] = useState<Asked>({ q: "", driver: DRIVER_NAMES[0], order: "price" });
  const { q, driver, order } = asked;
  const read = useCallback(
    (signal: AbortSignal) => {
      const terms = DRIVERS[driver].can.boots ? "by-interval" : "on-result";
      return readPublic("offers", { q, driver, order, terms, limit: SHOWN_MAX }, signal);
    },
    [q, driver, order],
  );
  const reading = useReading(read, EVERY_MS);
  const { value: found, error } = reading;
  return (
    <section aria-labelledby="offers">
      <h2 id="offers">Servers with room now</h2>
      <SearchForm search={setAsked} />
      <Unread reading={reading} what="Offers cannot be read" />
      {!found && error === null && <Waiting what="Searching" />}
      {found && found.offers.length === 0 && <Empty found={found} />}
      {found && found.offers.length > 0 && (
        <>
          <OffersTable offers={found.offers} currency={currency} />
          <p className="quiet">
            Prices for {found.resources.vcpu} vCPU, {mebibytes(found.resources.memoryMib)} memory, {mebibytes(found.resources.diskMib)}{" "}
            disk.
            {found.next !== null && ` The first ${found.offers.length} are shown.`}
          </p>
        </>
      )}
    </section>
  );
}
