/** For owners: their servers, what runs on them, and what they earned. */
import { useCallback, type ReactNode } from "react";
import { isLive } from "@xenoservers/market";
import type { ServerStanding } from "@xenoservers/protocol";
import type { Access } from "./access.ts";
import { incomeOf } from "./income.ts";
import { LeasesTable } from "./leases-table.tsx";
import { Facts, Id, Table } from "./parts.tsx";
import { Unread, Waiting } from "./problem.tsx";
import { restsOf } from "./standing-words.ts";
import { useNews, useReading } from "./use-reading.ts";
import { countOf, money, when } from "./words.ts";

const EVERY_MS = 10_000;
const LEASES_READ = 1_000;
const NOBODY: ReadonlySet<string> = new Set();

function ServerRow({ standing }: { standing: ServerStanding }): ReactNode {
  const { server, record, validUntil, clock } = standing;
  const rests = restsOf(standing);
  return (
    <tr>
      <td>
        <Id of={server} />
      </td>
      <td className={rests === "" ? "good" : "warn"}>{rests === "" ? "takes orders" : rests}</td>
      <td>{validUntil === null ? "no offer" : `until ${when(validUntil)}`}</td>
      <td>{clock === null ? "not measured" : clock.isRight ? "right" : `${Math.round(clock.offsetMs)} ms off`}</td>
      <td>
        {record.completed} of {record.leases} done
        {record.missed > 0 && `, ${record.missed} missed`}
        {record.convicted > 0 && `, ${record.convicted} convicted`}
      </td>
    </tr>
  );
}

export function ServersView({ access, currency }: { access: Access; currency: string }): ReactNode {
  const news = useNews(access.news);
  const read = useCallback(
    async (signal: AbortSignal) => {
      const { servers } = await access.client.read("servers", { signal });
      const { leases, next } = await access.client.read("leases", { query: { limit: LEASES_READ }, signal });
      return { servers, leases: leases.filter(({ owner }) => owner === access.party), isWhole: next === null };
    },
    [access],
  );
  const reading = useReading(read, EVERY_MS, news);
  const { value, error } = reading;
  if (!value)
    return error === null ? <Waiting what="Reading your servers" /> : <Unread reading={reading} what="Your servers cannot be read" />;
  const { servers, leases, isWhole } = value;
  const running = leases.filter(({ state }) => isLive(state));
  const { earned, open } = incomeOf(leases);
  return (
    <>
      <h1>Servers</h1>
      <Unread reading={reading} what="How they stand now cannot be read" />
      {servers.length === 0 && (
        <p>
          This party has none. A machine joins with <code>xeno token create --server</code> and <code>xeno serve --enrol TOKEN</code>.
        </p>
      )}
      {servers.length > 0 && (
        <>
          <Table label="Servers" heads={["server", "standing", "offer", "clock", "record"]}>
            {servers.map((standing) => (
              <ServerRow key={standing.server} standing={standing} />
            ))}
          </Table>
          <h2>Income</h2>
          <Facts
            of={[
              ["final", money(earned, currency)],
              ["settled", `${money(open, currency)}, objections still possible`],
            ]}
          />
          <p className="quiet">
            Of {isWhole ? "all" : "the newest"} {countOf(leases.length, "lease")} on them.
          </p>
          <h2>Running now</h2>
          {running.length === 0 && <p className="quiet">Nothing runs on them.</p>}
          {running.length > 0 && (
            <LeasesTable
              label="Running on your servers"
              leases={running}
              {...{ currency, stopping: NOBODY, stop: null, now: access.client.brokerNow() }}
            />
          )}
        </>
      )}
    </>
  );
}
