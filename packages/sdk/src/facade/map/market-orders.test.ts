import { refuse } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import type { BuiltWork } from "../../built.ts";
import { RefusedError } from "../../errors.ts";
import type { BoundOrder } from "../../purchase-order.ts";
import { ordersOf, type MapMeans } from "./market-orders.ts";

const AWAY = new RefusedError(refuse("unavailable"));
const boundTo = (jobHash: string) => ({ order: { payload: { jobHash } } }) as BoundOrder;

it("a job that is not kept here is brought all the same where only the answer to its order was lost", async () => {
  const [work, kept] = [{ jobHash: "large" }, { jobHash: "earlier" }] as BuiltWork[];
  const followed: (BuiltWork | null)[] = [];
  const read = { planned: {}, wanted: {} } as Parameters<ReturnType<typeof ordersOf>["order"]>[0];
  const orders = ordersOf({
    ordering: {
      ready: async () => ({ ...read, work }),
      place: () => Promise.reject(AWAY),
      keptJob: async (placed: BoundOrder) => (placed.order.payload.jobHash === "earlier" ? kept : null),
      follow: (_bound: BoundOrder, brought: BuiltWork | null) => followed.push(brought),
    },
    bound: async (lease: string) => boundTo(lease),
  } as unknown as MapMeans);
  await expect(orders.order(read, {})).rejects.toBe(AWAY);
  // named by what was ordered there
  for (const lease of ["large", "earlier", "another's"]) await orders.follow(lease, read.planned);
  expect(followed).toEqual([work, kept, null]);
});
