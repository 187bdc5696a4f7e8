/** `customer-program.ts TASK`: runs one job after another and says what became of each, until it is told to end (after the one it is at). */
import { MarketClient, RefusedError, fetchMarket, identityOf, pinsOf } from "@xenoservers/sdk";
import type { Envelope } from "@xenoservers/protocol";
import type { LinkAnswer } from "@xenoservers/protocol/link";
import { moduleJob, printing } from "../process/jobs.ts";
import { orderAndFollow } from "../process/market.ts";
import { pause } from "./pace.ts";
import type { CustomerSays, CustomerTask } from "./setting.ts";

const EXIT = 7;
const AGAIN_MS = 300;
const ROUNDS = [5_000_000, 50_000_000, 300_000_000];

/** A document that was sent is sent again, byte for byte, until somebody answers. */
class PatientClient extends MarketClient {
  override async submit(envelope: Envelope): Promise<LinkAnswer> {
    for (;;) {
      const answer = await super.submit(envelope);
      if (answer.ok || answer.code !== "unavailable") return answer;
      await pause(AGAIN_MS);
    }
  }
}

const say = (says: CustomerSays): void => console.log(JSON.stringify(says));

async function untilDone<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (
        error instanceof RefusedError &&
        // an order outlives no outage that is as long as itself: it was never taken, and is signed anew
        !["expired", "unavailable", "no_match", "busy", "conflict", "capacity_taken", "rate_limited"].includes(error.refusal.code)
      )
        throw error;
      await pause(AGAIN_MS);
    }
  }
}

const { url, seed, name }: CustomerTask = JSON.parse(process.argv[2] ?? "");
let over = false;
process.once("SIGTERM", () => (over = true));
const pins = pinsOf(await untilDone(() => fetchMarket(url)));
const client = new PatientClient(url, pins, identityOf(Buffer.from(seed, "hex")));
let i = 0;
do {
  const text = `${name} ${i}\n`.repeat(1 + (i % 40));
  const job = await moduleJob(await printing(text, ROUNDS[i % ROUNDS.length] ?? 1, EXIT));
  const run = await untilDone(() => orderAndFollow(client, job, { label: name }));
  say({ said: "bound", lease: run.session.lease });
  const { lease, stdout, files } = await run.end();
  const { end } = lease;
  const wrong = [
    end?.reason === "completed" && end.blame === "nobody" && end.exitCode === EXIT
      ? ""
      : `it ended ${end?.reason} ${end?.exitCode}, ${end?.blame} to blame`,
    stdout === text ? "" : `it printed ${stdout.length} of ${text.length} characters`,
    files["out/kept"] === "kept" ? "" : "its file is not what it wrote",
  ];
  say({ said: "ended", lease: lease.id, dueNanos: end?.dueNanos ?? "0", wrong: wrong.filter(Boolean).join("; ") });
  i++;
} while (!over);
